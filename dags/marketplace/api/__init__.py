"""The APIs: aggregated play, and a customer's notifications. No Airflow is imported here: it runs on Lambda."""
