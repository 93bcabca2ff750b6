-- What a person has said holds no longer; that it was said stays.
update ops.alias_correction
set removed_by = %(made_by)s, removed_at = clock_timestamp()
where correction_id = %(correction_id)s;
