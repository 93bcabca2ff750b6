-- Enter how many have read a rule's notification of a day; nothing changes when they are as many as before.
update ops.notification_account
set read = %(read)s
where day = %(day)s and rule_id = %(rule_id)s and read <> %(read)s
