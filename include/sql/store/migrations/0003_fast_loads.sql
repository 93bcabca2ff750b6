-- What makes loads fast
select 1;
