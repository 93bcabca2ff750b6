"""The code behind the DAGs: one sub-package a concern, importable without Airflow where the logic is pure."""
