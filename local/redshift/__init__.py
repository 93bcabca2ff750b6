"""A Redshift for one machine: an endpoint before PostgreSQL that takes Redshift's SQL and its drivers."""
