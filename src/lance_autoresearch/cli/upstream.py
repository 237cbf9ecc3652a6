"""`lar upstream fetch | show | drift | pin`: Lance's own source, pinned, extracted, compared."""

from __future__ import annotations

import json as jsonlib
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lance_autoresearch.oracle import ItemDrift

MEANING = {
    "same": "the same bytes at the same line",
    "moved": "the same bytes at another line",
    "changed": "other bytes",
    "gone": "not found",
}


def _print_line(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _find_root() -> Path:
    from lance_autoresearch.host.checkout import find_root

    return find_root()


def fetch_upstream(*, offline: bool = False, json: bool = False) -> int:
    """Fetch the pinned release through cargo, verify it, and extract the items of the targets.

    Archives are checked against `upstream.lock` before they are read, every extracted item
    after it is cut. Does nothing if all is up to date.

    Args:
        offline: use only archives that cargo already has.
        json: print one JSON object instead of text.
    """
    from lance_autoresearch import oracle

    root = _find_root()
    steps: list[str] = []

    def tell(line: str) -> None:
        steps.append(line)
        if not json:
            _print_line(line)

    oracle.fetch_upstream(root, offline=offline, progress=tell)
    manifest = oracle.load_manifest(root)
    digests = {name: oracle.hash_extracts(root, name) for name in manifest.targets}
    if json:
        print(jsonlib.dumps({"version": manifest.version, "extracts": digests, "steps": steps}))
        return 0
    print(f"Lance {manifest.version}: extracts of {len(digests)} targets are as pinned")
    for name, digest in digests.items():
        print(f"  {name:16}{digest[:16]}")
    return 0


def show_upstream(target: str, *, kernel: bool = False, json: bool = False) -> int:
    """Show the items that a target takes from Lance, with place and size.

    Args:
        target: its name.
        kernel: print the first kernel itself (Lance's items and the adapter) instead.
        json: print one JSON object instead of text.
    """
    from lance_autoresearch import oracle
    from lance_autoresearch.build.builder import compose_first_kernel

    root = _find_root()
    if kernel:
        text = compose_first_kernel(root, target).decode()
        print(jsonlib.dumps({"target": target, "kernel": text}) if json else text, end="")
        return 0
    items = oracle.list_item_lines(root, target)
    if json:
        print(jsonlib.dumps({"target": target, "items": [asdict(i) for i in items]}))
        return 0
    print(f"{target} at Lance {oracle.load_manifest(root).version}")
    for group in ("kernel", "prelude", "maker"):
        mine = [i for i in items if i.group == group]
        if mine:
            print(f"\n{group}: {len(mine)} items, {sum(i.lines for i in mine)} lines")
        for item in mine:
            print(f"  {item.source}:{item.line:<6}{item.spec}  ({item.lines} lines)")
    return 0


def show_drift(*, to: str, diff: bool = False, json: bool = False) -> int:
    """Extract another release with today's manifest and compare item by item.

    Args:
        to: the release, e.g. 15.0.0.
        diff: print the difference of every changed item too.
        json: print one JSON object (differences included) instead of text.
    """
    from lance_autoresearch import oracle

    root = _find_root()
    found = oracle.find_drift(root, to, progress=None if json else _print_line)
    if json:
        here = oracle.load_manifest(root).version
        print(jsonlib.dumps({"from": here, "to": to, "items": [asdict(d) for d in found]}))
        return 0
    print(summarize_drift(found, oracle.load_manifest(root).version, to))
    for item in found:
        if item.state in ("changed", "gone"):
            print(f"\n{item.state}: {item.target} {item.group} {item.source} {item.spec}")
            if item.note:
                print(f"  {item.note}")
            if diff and item.diff:
                print(item.diff)
    if not diff and any(d.diff for d in found):
        print(f"\nnext: lar upstream drift --to {to} --diff")
    return 0


def summarize_drift(found: Sequence[ItemDrift], old: str, new: str) -> str:
    """Counts per target and state, as lines of text."""
    lines = [f"Lance {old} -> {new}: {len(found)} items"]
    for target in dict.fromkeys(d.target for d in found):
        counts = Counter(d.state for d in found if d.target == target)
        parts = [f"{counts[s]} {s}" for s in MEANING if counts[s]]
        lines.append(f"  {target:16}{', '.join(parts)}")
    return "\n".join(lines)


def pin_upstream(*, to: str | None = None, json: bool = False) -> int:
    """Write `upstream.lock` for a release (default: the one in upstream.toml) and extract it.

    Nothing is written unless every item of every target is found. Champions are judged against
    the new oracle only after `lar validate` has passed on every target.

    Args:
        to: the release to move to.
        json: print one JSON object instead of text.
    """
    from lance_autoresearch import oracle

    root = _find_root()
    lock = oracle.pin_release(root, to, progress=None if json else _print_line)
    items = {name: len(keys) for name, keys in lock.items.items()}
    if json:
        print(jsonlib.dumps({"version": lock.version, "archives": lock.archives, "items": items}))
        return 0
    print(f"pinned Lance {lock.version}: {len(lock.archives)} crates, {sum(items.values())} items")
    print("  next: lar validate TARGET for each of " + ", ".join(items))
    return 0
