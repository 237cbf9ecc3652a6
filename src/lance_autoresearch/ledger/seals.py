"""The commitment to an epoch's seed: made when the epoch begins, checked when it ends."""

from __future__ import annotations

import hashlib


def seal_seed(target: str, name: str, seed: str) -> str:
    """Commitment to an epoch's seed, stored when it begins and checked when it ends."""
    return hashlib.sha256(f"{target}\n{name}\n{seed}".encode()).hexdigest()
