"""Agents: they propose the next kernel. One file each, behind one Protocol.

    Turn (champion, last verdict, what was tried) ── agent.propose ──> Proposal or None (done)

The loop judges what comes back; an agent never learns seeds, pools or expected outputs, and
nothing it says about its own kernel counts. `rewrite`, `tune` and `replay` are embedded and cost
nothing; `claude`, `codex`, `acp:PROGRAM` and `cmd:PROGRAM` drive a program in a sandbox
(`driven`); `api` asks a model itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lance_autoresearch.agents.failures import Complaint, FailureKind, classify, report_as
from lance_autoresearch.errors import UsageError
from lance_autoresearch.records import RewriteStep, TrialRecord


@dataclass(frozen=True, slots=True)
class Turn:
    """An agent's knowledge before it proposes."""

    target: str
    champion: bytes
    """Text of the best kept kernel: the starting point of the next idea."""
    kernel: Path
    """The one file, in the campaign's worktree."""
    history: tuple[TrialRecord, ...] = field(default=())
    """This campaign's trials so far, oldest first."""
    root: Path = Path()
    """The checkout: where HARNESS.md and the target's papers are read."""
    home: Path = Path()
    """A directory that this campaign's agent may keep as its home."""
    advice: tuple[str, ...] = ()
    """Feedback on the last trial and hints from the last few."""
    note: str = ""
    """The fault of the agent's last turn, in the loop's words."""
    usd_left: float | None = None
    """Largest cost of the turn; None: no limit was given."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One candidate."""

    text: bytes
    hypothesis: str
    tokens: int | None = None
    cost_usd: float | None = None
    predicted: float | None = None
    """The gain in % that the agent expects."""
    rewrites: tuple[RewriteStep, ...] = ()
    """The mechanical rewrites of the champion that it consists of; empty: it is another idea."""
    note: str = ""
    """A message for the agent's next turn, such as edits that were refused."""


class AgentFailed(Exception):
    """A turn that ended without a candidate.

    Args:
        what: one sentence, or the program's own complaint.
        kind: of a failure that is described in our words; a complaint tells its kind itself.
        next: the command that fixes it.
    """

    def __init__(
        self,
        what: str | Complaint,
        kind: FailureKind = FailureKind.NO_CANDIDATE,
        *,
        tokens: int | None = None,
        cost_usd: float | None = None,
        next: str | None = None,
    ) -> None:
        self.complaint = report_as(kind, what) if isinstance(what, str) else what
        super().__init__(self.complaint.shown)
        self.what = self.complaint.shown
        self.kind = classify(self.complaint)
        self.tokens = tokens
        self.cost_usd = cost_usd
        self.next = next


class Agent(Protocol):
    """Proposes kernels one at a time."""

    name: str

    def propose(self, turn: Turn) -> Proposal | None:
        """The next candidate, or None if no idea is left.

        Raises:
            AgentFailed: no candidate this time; the loop decides whether to ask again.
        """


@dataclass(frozen=True, slots=True)
class Settings:
    """How a driven program is run."""

    model: str | None = None
    """As the program names its models; None: its default."""
    program: str | None = None
    """Path of the program; None: its usual name on PATH."""
    arguments: tuple[str, ...] = ()
    """Further arguments, passed on as they are."""
    rounds: int = 40
    """Model calls of one turn, if the program can bound them."""
    minutes: float = 30.0
    """Wall clock of one turn."""
    price: tuple[float, float] | None = None
    """USD for a million input and output tokens, if a program reports tokens only."""


EMBEDDED: dict[str, str] = {
    "rewrite": "lance_autoresearch.agents.rewrite:RewriteAgent",
    "tune": "lance_autoresearch.agents.tune:TuneAgent",
    "replay": "lance_autoresearch.agents.replay:ReplayAgent",
}
"""Name -> `module:class`. A dotted path of the same form is accepted as a name too."""

DRIVEN: dict[str, str] = {
    "claude": "lance_autoresearch.agents.claude:ClaudeAgent",
    "codex": "lance_autoresearch.agents.codex:CodexAgent",
    "api": "lance_autoresearch.agents.api:ApiAgent",
}
"""Programs and models that are asked turn by turn; the class takes `Settings`."""

COMMANDS: dict[str, str] = {
    "acp:": "lance_autoresearch.agents.acp:AcpAgent",
    "cmd:": "lance_autoresearch.agents.command:CommandAgent",
}
"""Prefix of a command line that is the agent -> its class, which takes the line and `Settings`."""


def list_agent_names() -> list[str]:
    """The names that `--agent` accepts."""
    lines = [f"{prefix}PROGRAM ..." for prefix in COMMANDS]
    return [*sorted(EMBEDDED), *sorted(DRIVEN), *lines, "module:Class"]


def load_agent(name: str) -> Callable[..., Agent]:
    """The class behind a name or a dotted path `module:Class`.

    Raises:
        UsageError: neither an agent's name nor an importable path.
    """
    path = (EMBEDDED | DRIVEN).get(name, name)
    module, _, attribute = path.partition(":")
    if not attribute:
        raise UsageError(f"no agent named '{name}'", allowed=list_agent_names(),
                         next="./lar loop TARGET --agent rewrite")
    try:
        found: Callable[..., Agent] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        what = f"cannot load agent '{name}': {error}"
        raise UsageError(what, allowed=list_agent_names()) from error
    return found


def make_agent(name: str, settings: Settings) -> Agent:
    """A driven program or an embedded agent, ready to propose.

    Raises:
        UsageError: no such agent or program.
    """
    for prefix, path in COMMANDS.items():
        if name.startswith(prefix):
            return load_agent(path)(name.removeprefix(prefix), settings)
    return load_agent(name)(settings) if name in DRIVEN else load_agent(name)()
