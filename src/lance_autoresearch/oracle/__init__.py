"""Lance's own source: fetched at a pinned digest, extracted, compared between releases.

    fetch_upstream(root)                 archives verified, items cut, digests compared
    ensure_extracts(root, "NAME")        .lar/extracts/NAME: prelude/..., kernel.rs, maker/...
    find_drift(root, "13.0.0")           item by item: same, moved, changed, gone

People write `upstream.toml` and `targets/*/extracts.toml`; `pin_release` writes `upstream.lock`.
No text of Lance is ever committed: everything generated lies under `.lar/`.
"""

from __future__ import annotations

from lance_autoresearch.oracle.drift import ItemDrift, find_drift
from lance_autoresearch.oracle.extracts import (
    ensure_extracts,
    fetch_upstream,
    hash_extracts,
    list_item_lines,
    list_linked_names,
    pin_release,
)
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
    "ensure_extracts",
    "fetch_upstream",
    "find_drift",
    "hash_extracts",
    "list_item_lines",
    "list_linked_names",
    "load_manifest",
    "pin_release",
]
