"""Lance's own source: fetched at a pinned digest, sliced, compared between releases.

    fetch(root)                          archives verified, items cut, digests compared
    slices_dir(root, "pq-l2")            .lar/slices/pq-l2: prelude/..., kernel.rs, maker/...
    drift(root, "13.0.0")                item by item: same, moved, changed, gone

People write `upstream.toml`; `upstream.lock` is written by `pin`. No text of Lance is ever
committed: everything generated lies under `.lar/`.
"""

from __future__ import annotations

from lance_autoresearch.oracle.drift import ItemDrift, drift
from lance_autoresearch.oracle.manifest import (
    Edit,
    Entry,
    Manifest,
    TargetSlices,
    load_manifest,
)
from lance_autoresearch.oracle.slices import fetch, pin, show, slice_digest, slices_dir

__all__ = [
    "Edit",
    "Entry",
    "ItemDrift",
    "Manifest",
    "TargetSlices",
    "drift",
    "fetch",
    "load_manifest",
    "pin",
    "show",
    "slice_digest",
    "slices_dir",
]
