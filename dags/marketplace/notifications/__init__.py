"""Daily notifications: what is due goes through a queue to workers, which write it to the customers' inboxes."""
