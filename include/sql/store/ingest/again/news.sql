-- Whether anything has become of the rows that a load tried again but what had become of them before.
select
    exists (
        select 1 from ops.rejected_row as o
        where o.retried_load_id = %(load_id)s and not exists (
            select 1 from ops.rejected_row as n
            where n.load_id = %(load_id)s and n.line_no = o.line_no
                and (n.column_name, n.reason, n.detail) is not distinct from (o.column_name, o.reason, o.detail)
        )
    )
    or exists (
        select 1 from ops.held_row as o
        where o.retried_load_id = %(load_id)s and not exists (
            select 1 from ops.held_row as n
            where n.load_id = %(load_id)s and n.line_no = o.line_no
                and (n.column_name, n.reason, n.detail, n.ref_dataset, n.ref_value)
                is not distinct from (o.column_name, o.reason, o.detail, o.ref_dataset, o.ref_value)
        )
    ) as news;
