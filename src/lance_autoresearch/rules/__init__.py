"""What follows from the numbers? Pure: no file, process, clock or seed.

`gate` and `confirmation` decide, `estimator` and `stats` compute, `policy` holds every threshold.
"""
