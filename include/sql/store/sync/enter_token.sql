-- Enter a sync's token, by which a later one knows that the source still has the history that the sync saw.
-- Parameters: token.
insert into ops.sync_token (token) values (%(token)s);
