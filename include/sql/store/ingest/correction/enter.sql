-- Keep what a person says.
insert into ops.alias_correction (dataset, alias_is, alias, alias_key, stands_for, reason, made_by)
values (%(dataset)s, %(alias_is)s, %(alias)s, %(alias_key)s, %(stands_for)s, %(reason)s, %(made_by)s);
