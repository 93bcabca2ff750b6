"""The Marketplace page: it reads the report bucket and the landing bucket, opens no database, and changes nothing.

It is self-contained, since on MWAA the web server has plugins.zip, and may not have the DAGs.
"""
