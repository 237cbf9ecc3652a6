"""`lar lessons`: the lessons on a target, and the ideas that failed."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING

from lance_autoresearch.host import checkout

if TYPE_CHECKING:
    from lance_autoresearch.campaign.dead_ends import DeadEnd


def show_lessons(
    target: str,
    *,
    add: str | None = None,
    by: str = "hand",
    grep: str = "",
    like: str | None = None,
    last: int = 20,
    json: bool = False,
) -> int:
    """Show the lessons on a target, and the ideas that failed with their reasons.

    First the lessons that people and agents wrote (.lar/lessons/<target>.md, append-only), then the
    newest dead ends from the ledger: verdict, gain, size of the change, hypothesis,
    reason, worst and best combo. Both are untrusted text.

    Args:
        target: name of the target, see `lar targets`.
        add: append this lesson instead of printing.
        by: its author.
        grep: only dead ends that contain this word in hypothesis, reason or a losing combo.
        like: an idea you have: dead ends that share words with it, the nearest first.
        last: number of dead ends at most.
        json: print one object.
    """
    from lance_autoresearch.campaign import lessons as memory
    from lance_autoresearch.targets import catalogue

    root = checkout.find_root()
    catalogue.find_target_dir(root, target)
    if add is not None:
        line = memory.add_lesson(root, target, add, by=by)
        print(json_module.dumps({"v": 1, "lesson": line}) if json else line)
        return 0
    reported = [
        line for line in memory.read_lessons(root, target) if grep.casefold() in line.casefold()
    ]
    ends = _find_dead_ends(root, target, grep, like, last)
    if json:
        body = {"v": 1, "target": target, "lessons": reported,
                "dead_ends": [end.as_json() for end in ends]}
        print(json_module.dumps(body, ensure_ascii=False))
    else:
        print(render_lessons(target, reported, ends))
    return 0


def _find_dead_ends(
    root: Path, target: str, grep: str, like: str | None, last: int
) -> list[DeadEnd]:
    from lance_autoresearch.campaign.dead_ends import find_related, list_dead_ends
    from lance_autoresearch.ledger import Ledger, find_ledger_path

    if not find_ledger_path(root).exists():
        return []
    with Ledger.open(root) as ledger:
        if like is not None:
            return find_related(ledger, target, like, limit=last)
        return list_dead_ends(ledger, target, grep=grep, limit=last)


def render_lessons(target: str, reported: list[str], ends: list[DeadEnd]) -> str:
    """Both lists for people."""
    lines = ["lessons (untrusted)", *(f"  {line}" for line in reported)]
    if not reported:
        lines.append(f'  none; ./lar lessons {target} --add "what you learnt"')
    lines += ["", "dead ends, newest first (untrusted)", *(_render_dead_end(end) for end in ends)]
    return "\n".join(lines if ends else [*lines, "  none"])


def _render_dead_end(end: DeadEnd) -> str:
    head, _, why = end.format_line().partition('" | ')
    return f'{head}"\n      {why}' if why else head
