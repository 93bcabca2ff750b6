"""The cloud on one machine: PostgreSQL, the AWS emulator and Airflow, under one supervisor, on 127.0.0.1."""
