"""The warehouse sync: what changed in the store goes to Redshift, as one consistent cut, and is compared there."""
