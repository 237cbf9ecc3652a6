"""A pull request with its evidence: what is there, what is missing, and whether it may be sent."""
