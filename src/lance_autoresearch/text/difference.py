"""The difference of two kernels, line by line: for the report's lineage and for dead ends.

    changed = compute_difference(before, after)
    changed.added, changed.removed      # 12, 4
    changed.lines                       # unified diff, 3 lines of context, bounded

The text is an agent's and may quote Lance: the caller that shows it escapes it. Characters that
could hide or reorder what is read (controls, bidi, zero width) are spelt out as `\\u{202e}`.
"""

from __future__ import annotations

import difflib
from typing import NamedTuple

LONGEST = 6000
"""Lines of a kernel that are compared; difflib needs quadratic time on hostile ones."""
SHOWN = 600
"""Lines of a diff that are kept."""
WIDTH = 300
"""Characters of one line that are kept."""


class Difference(NamedTuple):
    """A unified diff."""

    added: int
    removed: int
    lines: list[str]
    """Without the two header lines."""
    cut: bool
    """More lines than are kept, or kernels too long to be compared."""

    @property
    def size(self) -> str:
        """`+12 -4`."""
        return f"+{self.added} -{self.removed}"


def compute_difference(before: bytes, after: bytes) -> Difference:
    """From one kernel to the next."""
    old, new = (text.decode("utf-8", "replace").splitlines() for text in (before, after))
    if max(len(old), len(new)) > LONGEST:
        return Difference(len(new), len(old), [], True)
    found = list(difflib.unified_diff(old, new, lineterm="", n=3))[2:]
    added = sum(line.startswith("+") for line in found)
    removed = sum(line.startswith("-") for line in found)
    lines = [spell_line(line[:WIDTH]) for line in found[:SHOWN]]
    return Difference(added, removed, lines, len(found) > SHOWN)


def spell_line(line: str) -> str:
    """A line in which every character can be seen; tabs stay."""
    shown = (c if c == "\t" or c.isprintable() else f"\\u{{{ord(c):x}}}" for c in line)
    return "".join(shown)
