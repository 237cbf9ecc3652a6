"""`lar targets`: the kernels that run, where they stand, and those that wait."""

from __future__ import annotations

import json as jsonlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def list_targets(*, json: bool = False) -> int:
    """List every target: where Lance calls it, what share it has, how far the search is.

    `champion` is the newest kept kernel, with its gain over Lance if that was measured in
    its own trial, or `committed`: the kernel under targets/, whose figures are in README.
    `last trial` is the newest verdict.
    Below are the kernels that have no target yet, with the gains of prototypes, as hints.

    Args:
        json: print one JSON object instead of the tables.
    """
    from lance_autoresearch.host.checkout import find_root
    from lance_autoresearch.targets import catalogue

    root = find_root()
    running = [describe_target(root, name) for name in catalogue.list_targets(root)]
    waiting = catalogue.list_waiting(root)
    if json:
        body = {"targets": running, "waiting": [asdict(w) for w in waiting]}
        print(jsonlib.dumps(body))
        return 0
    head = ("target", "call site in Lance", "cost there", "champion", "last trial")
    keys = ("name", "call_site", "cost", "champion", "last")
    print(render_table(head, [[shorten_text(str(r[k] or "-")) for k in keys] for r in running]))
    if waiting:
        print("\nwaiting for a target (headroom is what a prototype reached, not a result)\n")
        for w in waiting:
            print(f"{w.name:19}{w.call_site}")
            print(f"{'':19}cost there: {w.cost}")
            print(f"{'':19}headroom: {w.headroom}; state: {w.state}")
    return 0


def describe_target(root: Path, name: str) -> dict[str, Any]:
    """One running target: its card, its champion's gain over Lance, its last verdict."""
    from lance_autoresearch.targets import catalogue
    from lance_autoresearch.targets.champion import find_kernel_path

    target = catalogue.load_target(root, name)
    champion, last = find_newest_trials(root, name)
    champion = champion or ("committed" if find_kernel_path(root, name).is_file() else None)
    return {
        "name": name,
        "summary": target.summary,
        "call_site": target.call_site,
        "cost": target.cost,
        "ops": [op.name for op in target.ops],
        "champion": champion,
        "last": last,
    }


def find_newest_trials(root: Path, name: str) -> tuple[str | None, str | None]:
    """(champion, newest verdict) of a target as the ledger has them; None if it has none.

    A champion kept against Lance's own code shows its confirmed gain. One that replaced another
    champion shows its trial: kept gains are never multiplied, `lar bench` measures the figure.
    """
    from lance_autoresearch.ledger import Ledger, find_ledger_path

    if not find_ledger_path(root).exists():
        return None, None
    with Ledger.open(root) as ledger:
        newest = ledger.list_trials(target=name, kind="trial", limit=1)
        keep = ledger.find_last_keep(name)
    last = f"{newest[-1].id} {newest[-1].record.verdict}" if newest else None
    if keep is None:
        return None, last
    if keep.record.parent is None and keep.record.gain is not None:
        return f"trial {keep.id} {keep.record.gain:+.1f} %", last
    return f"trial {keep.id}, see lar bench", last


def shorten_text(text: str, limit: int = 50) -> str:
    """The text, cut at a word if it is longer than a column should be; --json has it whole."""
    return text if len(text) <= limit else f"{text[: limit - 1].rsplit(' ', 1)[0].rstrip(',')} …"


def render_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two blanks apart."""
    everything = [list(head), *(list(r) for r in rows)]
    widths = [max(len(line[i]) for line in everything) for i in range(len(head))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) for r in everything]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(line.rstrip() for line in lines)
