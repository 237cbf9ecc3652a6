"""Lance's own source: fetched at a pinned digest, extracted, compared between releases.

    fetch(root)                          archives verified, items cut, digests compared
    extracts_dir(root, "NAME")           .lar/extracts/NAME: prelude/..., kernel.rs, maker/...
    drift(root, "13.0.0")                item by item: same, moved, changed, gone

People write `upstream.toml` and `targets/*/extracts.toml`; `pin` writes `upstream.lock`. No text
of Lance is ever committed: everything generated lies under `.lar/`.
"""

from __future__ import annotations

from lance_autoresearch.oracle.drift import ItemDrift, drift
from lance_autoresearch.oracle.extracts import extracts_digest, extracts_dir, fetch, pin, show
from lance_autoresearch.oracle.manifest import (
    Edit,
    Entry,
    Manifest,
    TargetExtracts,
    load_manifest,
)

__all__ = [
    "Edit",
    "Entry",
    "ItemDrift",
    "Manifest",
    "TargetExtracts",
    "drift",
    "extracts_digest",
    "extracts_dir",
    "fetch",
    "load_manifest",
    "pin",
    "show",
]
