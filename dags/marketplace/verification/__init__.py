"""Whether the platform's parts, as Airflow sees them, are what they ought to be: asked after each deployment."""
