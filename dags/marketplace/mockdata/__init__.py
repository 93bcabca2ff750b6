"""A marketplace made up: messy CSV files by the volume, and for each of their lines what must become of it.

This package and the ingestion share no code that reads or normalises a value: what one of them gets wrong the other
does not repeat.
"""
