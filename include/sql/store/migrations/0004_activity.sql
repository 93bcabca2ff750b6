-- Play counted by place, day, game and platform
select 1;
