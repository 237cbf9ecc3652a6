"""`lar gc`: bounded disk."""

from __future__ import annotations

import json as json_module
import shutil
import time
from pathlib import Path

from lance_autoresearch.world import host

DAY_S = 86_400.0
PRODUCTS = ("kernels",)
"""Caches under .lar/cache that grow with every trial."""


def gc(*, days: float = 30.0, dry_run: bool = False, json: bool = False) -> int:
    """Free disk: drop old blobs and builds, never a row.

    Blobs are kernels and raw pairs of trials; champions and everything younger than --days stay.
    A dropped build is made again when it is needed, a dropped blob is gone.

    Args:
        days: how old it must be.
        dry_run: only say what would go.
        json: print one object.
    """
    from lance_autoresearch.campaigns.campaign import repair
    from lance_autoresearch.world.ledger import Ledger

    root = host.find_root()
    repair(root)
    with Ledger.open(root) as ledger:
        blobs = ledger.gc(days=days, dry_run=dry_run)
    builds = old_builds(root, time.time() - days * DAY_S)
    size = sum(_size(path) for path in builds)
    if not dry_run:
        for path in builds:
            shutil.rmtree(path, ignore_errors=True)
    freed = size + sum(blob.stored for blob in blobs)
    if json:
        body = {"v": 1, "blobs": len(blobs), "builds": len(builds), "bytes": freed}
        print(json_module.dumps({**body, "dry_run": dry_run}))
    else:
        would = "would free" if dry_run else "freed"
        print(f"{would} {freed / 1e6:.1f} MB: {len(blobs)} blobs, {len(builds)} builds")
    return 0


def old_builds(root: Path, before: float) -> list[Path]:
    """Build directories that were last used before a time (seconds since the epoch)."""
    cache = host.lar_dir(root, "cache")
    return [
        path
        for kind in PRODUCTS
        for path in sorted((cache / kind).glob("*"))
        if path.is_dir() and path.stat().st_mtime < before
    ]


def _size(path: Path) -> int:
    return sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
