"""How fast the parts are, beside what else could do the same: `make bench JOB=mockdata [PEERS=1]`.

A job is a module of this package with `CASES`, each measured in a process of its own, and `ratios`.
"""
