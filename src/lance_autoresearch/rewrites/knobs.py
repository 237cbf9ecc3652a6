"""Other values of constants: those marked as knobs, and sizes that are powers of two.

    const BLOCK: usize = 64; // tune: 16 32 64 128 256
    const ROWS: usize = 8;                                  // not marked: 4 and 16 are tried
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lance_autoresearch.records import RewriteKind
from lance_autoresearch.rewrites.edits import Edit, Facts, Rewrite, make_step
from lance_autoresearch.rewrites.kernel_tree import KernelTree, read, walk

if TYPE_CHECKING:
    from tree_sitter import Node

KNOB = re.compile(
    rb"^(?P<head>[ \t]*(?:pub )?const (?P<name>\w+)\s*:\s*\w+\s*=\s*)(?P<value>-?\w+)"
    rb"(?P<tail>\s*;[ \t]*//[ \t]*tune:[ \t]*(?P<choices>[^\n]+))$",
    re.MULTILINE,
)
LEAST, MOST = 4, 1 << 16
"""Sizes without a mark that are doubled and halved."""


@dataclass(frozen=True, slots=True)
class Knob:
    """A constant with the values that may be tried."""

    name: str
    value: str
    choices: tuple[str, ...]
    start: int
    """Byte offset of the value in the text."""

    def list_others(self) -> list[str]:
        """The other values, nearest to the present one first."""
        here = self.choices.index(self.value) if self.value in self.choices else -1
        rest = [c for c in self.choices if c != self.value]
        return sorted(rest, key=lambda c: abs(self.choices.index(c) - here))

    def set(self, text: bytes, value: str) -> bytes:
        """The text with this knob at another value."""
        end = self.start + len(self.value.encode())
        return text[: self.start] + value.encode() + text[end:]


def find_knobs(text: bytes) -> list[Knob]:
    """All marked constants of a kernel, in order."""
    return [
        Knob(
            m["name"].decode(),
            m["value"].decode(),
            tuple(m["choices"].decode("utf-8", "replace").split()),
            m.start("value"),
        )
        for m in KNOB.finditer(text)
    ]


def find_constants(kernel: KernelTree, _facts: Facts) -> Iterator[Rewrite]:
    """Every single change of a knob; sizes without a mark doubled and halved."""
    marked = {knob.start: knob for knob in find_knobs(kernel.text)}
    for node in walk(kernel.root):
        value = node.child_by_field_name("value")
        if node.type != "const_item" or value is None:
            continue
        name, now = read(node.child_by_field_name("name")), read(value)
        knob = marked.get(value.start_byte)
        for other in knob.list_others() if knob else _list_sizes(node, now, name):
            note = kernel.note_before(node, RewriteKind.KNOBS, f"{name} was {now}.")
            edits = (note, Edit(value.start_byte, value.end_byte, other))
            yield Rewrite(make_step(RewriteKind.KNOBS, name, f"{now} -> {other}"), edits)


def _list_sizes(node: Node, now: str, name: str) -> list[str]:
    size = int(now) if now.isdecimal() else 0
    plain = read(node.child_by_field_name("type")) == "usize" and name.isupper()
    if not plain or size & (size - 1) or not LEAST <= size <= MOST:
        return []
    return [str(2 * size), str(size // 2)]
