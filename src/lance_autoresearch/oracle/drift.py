"""Another release of Lance against the pinned one, item by item.

    for item in find_drift(root, "15.0.0"):
        item.state      # same, moved, changed, gone
        item.diff       # unified diff if changed

An item is compared as it is cut: its own bytes, without lifting or declared edits.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path

from lance_autoresearch.errors import UpstreamError
from lance_autoresearch.oracle.archives import Archives, Progress
from lance_autoresearch.oracle.extracts import Cutter
from lance_autoresearch.oracle.lock import Lock
from lance_autoresearch.oracle.manifest import Entry, load_manifest
from lance_autoresearch.oracle.slicer import Piece


@dataclass(frozen=True, slots=True)
class ItemDrift:
    """The change of one item."""

    target: str
    group: str
    source: str
    """`crate/src/file.rs`"""
    spec: str
    state: str
    """`same`; `moved` (same bytes, other line); `changed`; `gone`."""
    old_line: int
    new_line: int | None
    diff: str = ""
    """Unified diff of the item's own text, for `changed`."""
    note: str = ""
    """Why it is gone, and what is near."""


def find_drift(root: Path, to: str, *, progress: Progress | None = None) -> list[ItemDrift]:
    """Cut release `to` with today's manifest and compare with the pinned release.

    Archives of `to` are checked by cargo against its registry only: nothing is built from
    them until `pin` writes their digests down.
    """
    manifest = load_manifest(root)
    here = Cutter(Archives(root, manifest, progress=progress), Lock.read(root))
    there = Cutter(
        Archives(root, replace(manifest, version=to, kind="registry"), progress=progress), None
    )
    seen: set[tuple[str, str, str, str]] = set()
    found = []
    for name, target in manifest.targets.items():
        for entry in target.entries:
            for spec in entry.items:
                if (name, entry.group, entry.source, spec) not in seen:
                    seen.add((name, entry.group, entry.source, spec))
                    found.append(_compare_item(name, entry, spec, here, there, to))
    return found


def _compare_item(
    target: str, entry: Entry, spec: str, here: Cutter, there: Cutter, to: str
) -> ItemDrift:
    old = here.get_slicer(entry).cut_piece(spec)
    result = ItemDrift(target, entry.group, entry.source, spec, "same", old.line, old.line)
    try:
        new = there.get_slicer(entry).cut_piece(spec)
    except UpstreamError as error:
        near = f"; near: {', '.join(error.allowed)}" if error.allowed else ""
        return replace(result, state="gone", new_line=None, note=f"{error.what}{near}")
    if new.text == old.text:
        return replace(result, state="same" if new.line == old.line else "moved", new_line=new.line)
    return replace(
        result, state="changed", new_line=new.line, diff=_format_diff(entry, old, new, to)
    )


def _format_diff(entry: Entry, old: Piece, new: Piece, to: str) -> str:
    lines = difflib.unified_diff(
        old.text.decode(errors="replace").splitlines(),
        new.text.decode(errors="replace").splitlines(),
        f"{entry.source}:{old.line}",
        f"{entry.source}:{new.line} ({to})",
        lineterm="",
        n=2,
    )
    return "\n".join(lines)
