"""Agents: whoever proposes the next kernel. One file each, behind one Protocol.

    Turn (champion, last verdict, what was tried) ── agent.propose ──> Proposal or None (done)

The loop judges what comes back; an agent never learns seeds, pools or expected outputs, and
nothing it says about its own kernel counts.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lance_autoresearch.errors import UsageError
from lance_autoresearch.records import TrialRecord


@dataclass(frozen=True, slots=True)
class Turn:
    """What an agent may know before it proposes."""

    target: str
    champion: bytes
    """Text of the best kept kernel: the starting point of the next idea."""
    kernel: Path
    """The one file, in the campaign's worktree."""
    history: tuple[TrialRecord, ...] = field(default=())
    """This campaign's trials so far, oldest first."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One candidate."""

    text: bytes
    hypothesis: str
    tokens: int | None = None
    cost_usd: float | None = None


class Agent(Protocol):
    """Proposes kernels one at a time."""

    name: str

    def propose(self, turn: Turn) -> Proposal | None:
        """The next candidate, or None when there is nothing left to try."""


EMBEDDED: dict[str, str] = {
    "tune": "lance_autoresearch.campaigns.agents.tune:TuneAgent",
    "replay": "lance_autoresearch.campaigns.agents.replay:ReplayAgent",
}
"""Name -> `module:class`. A dotted path of the same form is accepted as a name too."""


def load_agent(name: str) -> Callable[..., Agent]:
    """The class behind a name or a dotted path `module:Class`.

    Raises:
        UsageError: neither an embedded agent nor an importable path.
    """
    path = EMBEDDED.get(name, name)
    module, _, attribute = path.partition(":")
    if not attribute:
        raise UsageError(f"no agent named '{name}'", allowed=sorted(EMBEDDED),
                         next="./lar loop TARGET --agent tune")
    try:
        found: Callable[..., Agent] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        what = f"cannot load agent '{name}': {error}"
        raise UsageError(what, allowed=sorted(EMBEDDED)) from error
    return found
