-- Delete the tokens that are older than any of those in the warehouse's state; none when the source knows none of them.
-- Parameters: tokens.
delete from ops.sync_token
where token_id < (
    select min(t.token_id)
    from ops.sync_token as t
    where t.token = any(%(tokens)s)
);
