-- Keep a transaction open for a while, as one that does long work would; whoever cancels the statement ends it.
select pg_sleep(%(seconds)s);
