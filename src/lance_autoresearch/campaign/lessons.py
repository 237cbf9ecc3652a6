"""lessons.md of a target: the lessons of its agents, one line each, append-only.

    add_lesson(root, "hamming", "gathers lose on every shape: the table fits registers", by="hand")
    read_lessons(root, "hamming")  # ["2026-11-22 hand: gathers lose on every shape: ..."]

It lies in `.lar/lessons/<target>.md`, beside the ledger: a target's committed knowledge is its
program.md, which people edit. A line is stripped of control characters and bounded, since agents
write it and the next agent reads it.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from lance_autoresearch.errors import UsageError
from lance_autoresearch.host import checkout
from lance_autoresearch.text.plain_text import strip_text

LONGEST = 600
"""Characters of one lesson: a prompt carries many."""
BULLET = "- "


def find_lessons_file(root: Path, target: str) -> Path:
    """Where a target's lessons are."""
    return checkout.ensure_lar_dir(root, "lessons") / f"{target}.md"


def add_lesson(root: Path, target: str, text: str, *, by: str = "hand") -> str:
    """Append one lesson; returns its line. The same text is not written twice.

    Raises:
        UsageError: the text is empty without its control characters.
    """
    reported = strip_text(text, LONGEST)
    if not reported:
        raise UsageError("a lesson needs words", next=f'./lar lessons {target} --add "..."')
    known = [line for line in read_lessons(root, target) if line.partition(": ")[2] == reported]
    if known:
        return known[0]
    line = f"{datetime.now(UTC):%Y-%m-%d} {strip_text(by, 40) or 'hand'}: {reported}"
    path = find_lessons_file(root, target)
    new = b"" if path.exists() else f"# Lessons: {target}\n\n".encode()
    # One write to a file opened for appending: two writers at once do not mix their lines.
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, new + f"{BULLET}{line}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    return line


def read_lessons(root: Path, target: str) -> list[str]:
    """All lessons of a target, oldest first; a person may have added lines with an editor."""
    path = find_lessons_file(root, target)
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [strip_text(line[2:], LONGEST + 80) for line in lines if line.startswith(BULLET)]
