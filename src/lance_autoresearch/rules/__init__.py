"""The rules: what is decided from numbers alone. Pure; no file, process, clock or seed.

`gate` and `confirmation` decide, `estimator` and `stats` compute, `equality` says what equal
means, `verdict_text` says it to people, `comparison_json` keeps it bit for bit.
"""
