"""The agent that needs no account: it tries other values for constants marked as knobs.

    const BLOCK: usize = 64; // tune: 16 32 64 128 256

One knob changes at a time, nearest values first; a kept value becomes the new starting point
and its neighbours are tried next. It stops once every single change of the champion was tried.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from lance_autoresearch.agents import Proposal, Turn
from lance_autoresearch.errors import UsageError

KNOB = re.compile(
    rb"^(?P<head>[ \t]*(?:pub )?const (?P<name>\w+)\s*:\s*\w+\s*=\s*)(?P<value>-?\w+)"
    rb"(?P<tail>\s*;[ \t]*//[ \t]*tune:[ \t]*(?P<choices>[^\n]+))$",
    re.MULTILINE,
)


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


class TuneAgent:
    """Coordinate search over the knobs of the champion."""

    name = "tune"

    def __init__(self) -> None:
        self._tried: set[bytes] = set()

    def propose(self, turn: Turn) -> Proposal | None:
        """The next untried single change; None if all were tried.

        Raises:
            UsageError: the kernel has no knob.
        """
        found = find_knobs(turn.champion)
        if not found:
            raise UsageError(
                "the kernel has no knob for `tune` to turn; mark a constant like this:\n"
                "    const BLOCK: usize = 64; // tune: 16 32 64 128",
                where=str(turn.kernel),
                next=f"./lar loop {turn.target} --agent replay, or edit the kernel and "
                f"./lar try {turn.target}",
            )
        self._tried.add(hashlib.sha256(turn.champion).digest())
        self._tried.update(bytes.fromhex(t.kernel) for t in turn.history)
        for knob in found:
            for value in knob.list_others():
                text = knob.set(turn.champion, value)
                digest = hashlib.sha256(text).digest()
                if digest not in self._tried:
                    self._tried.add(digest)
                    return Proposal(text, f"tune {knob.name}: {knob.value} -> {value}")
        return None
