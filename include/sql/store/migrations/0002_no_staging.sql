-- Loads stage their rows in temporary tables.
drop schema staging;
