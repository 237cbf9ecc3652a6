"""The last measured headroom of each kernel, in `.lar/headroom/<target>.json`, for the report.

    save_headroom(root, "hamming", digest, "zen3", rows)
    find_headroom(root, "hamming", digest)        rows, or () if none was measured

A figure that can be measured again: nothing is judged by it, and a damaged file counts as none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lance_autoresearch.explain.headroom import Headroom
from lance_autoresearch.host.checkout import ensure_lar_dir
from lance_autoresearch.host.files import write_atomically

VERSION = 1
KEPT = 20
"""Kernels of a target whose headroom is kept, the newest."""


def find_store(root: Path, target: str) -> Path:
    """The file of a target."""
    return root / ".lar" / "headroom" / f"{target}.json"


def save_headroom(
    root: Path, target: str, kernel: str, cpu_kind: str, rows: Sequence[Headroom]
) -> None:
    """Keep the rows of a kernel in place of its earlier ones.

    Args:
        kernel: sha256 of its text.
    """
    others = [entry for entry in _read_entries(root, target) if entry["kernel"] != kernel]
    entry = {
        "kernel": kernel, "cpu_kind": cpu_kind,
        "rows": [[row.label, row.kernel_ns, row.memory_ns] for row in rows],
    }  # fmt: skip
    ensure_lar_dir(root, "headroom")
    data = {"v": VERSION, "entries": [entry, *others][:KEPT]}
    write_atomically(find_store(root, target), json.dumps(data).encode())


def find_headroom(root: Path, target: str, kernel: str) -> tuple[Headroom, ...]:
    """The rows that were measured last for a kernel; empty if there are none."""
    for entry in _read_entries(root, target):
        if entry["kernel"] == kernel:
            return tuple(Headroom(str(label), float(ours), float(floor))
                         for label, ours, floor in entry["rows"])
    return ()


def _read_entries(root: Path, target: str) -> list[dict[str, Any]]:
    try:
        data = json.loads(find_store(root, target).read_text())
        entries = data["entries"] if data["v"] == VERSION else []
        return [entry for entry in entries if len(entry["rows"]) and entry["kernel"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
