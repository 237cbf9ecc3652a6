"""Both sides of a pair in fresh random layouts: where code lies in memory is chance, not merit."""

from __future__ import annotations

import secrets

from lance_autoresearch.bench.meter import Sides
from lance_autoresearch.build.builder import Built, relink_many
from lance_autoresearch.host.machine_lock import lock_machine


def link_layouts(champion: Built, candidate: Built, count: int) -> list[Sides]:
    """Link both sides `count` times, each side in a layout of its own."""
    seeds = [secrets.randbits(32) for _ in range(2 * count)]
    with lock_machine("shared"):
        champions = relink_many(champion, seeds[:count])
        candidates = relink_many(candidate, seeds[count:])
    return [Sides(*both) for both in zip(champions, candidates, strict=True)]
