-- Notification rules say whom they are for, and their texts are there in other languages.

alter table store.notification_rule add column owned_game varchar(256);
alter table store.notification_rule add column wishlisted_game varchar(256);

create table store.notification_text (
    rule_id varchar(256) not null,
    locale varchar(800) not null,
    subject varchar(4000),
    body varchar(65535),
    load_id bigint,
    load_line bigint,
    primary key (rule_id, locale)
) diststyle all sortkey (rule_id, locale);
