"""The agent that turns knobs: it tries other values for constants marked as such.

    const BLOCK: usize = 64; // tune: 16 32 64 128 256

One knob changes at a time, nearest values first; a kept value becomes the new starting point
and its neighbours are tried next. It stops once every single change of the champion was tried.
"""

from __future__ import annotations

import hashlib

from lance_autoresearch.agents import Proposal, Turn
from lance_autoresearch.errors import UsageError
from lance_autoresearch.rewrites.knobs import find_knobs


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
