"""The outside world: this machine, the box, git, the ledger, files that others write.

Only `git` runs git, only `sandbox` starts untrusted programs, only `ledger` writes results.
"""
