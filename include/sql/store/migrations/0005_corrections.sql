-- Corrections by people, and raw lines that expire
select 1;
