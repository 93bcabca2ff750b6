-- Count all play sessions anew, and mend what differs in geo.activity. One row: the groups that there are, and how many
-- had to be added, corrected and removed.
select groups, added, corrected, removed from geo.rebuild_activity();
