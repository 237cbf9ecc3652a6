"""What every driven program has in common: a turn runs in the sandbox, the file is the answer.

    prompt ──> program in its sandbox ──> TurnReport(text, tokens, cost) ──┐
                    └─ edits kernels.rs ── read_kernel ──────────┴─> Proposal

After a turn only the bytes of the one file are read. A program that was stopped (rounds, money,
time) has still proposed what the file holds, if it changed; one that broke off has not.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lance_autoresearch.agents import AgentFailed, Proposal, Settings, Turn
from lance_autoresearch.agents.failures import Complaint, FailureKind
from lance_autoresearch.agents.prompt import extract_hypothesis, extract_prediction
from lance_autoresearch.agents.sign_in import SignInFiles
from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.host.agent_sandbox import ProgramResult, ProgramRun, run_program
from lance_autoresearch.host.disk_use import find_home_limit, is_larger
from lance_autoresearch.host.kernel_file import read_kernel
from lance_autoresearch.text.plain_text import strip_text

_SIGN_IN = threading.Lock()
"""Agents that work at the same time share the files that sign them in."""


@dataclass(frozen=True, slots=True)
class TurnReport:
    """A program's report about its turn."""

    text: str
    """Its last message."""
    error: Complaint | None = None
    """Why it ended early; None: it ended by itself."""
    stopped: bool = False
    """It ended early because a limit of ours was reached."""
    tokens: int | None = None
    cost_usd: float | None = None
    refused: tuple[str, ...] = ()
    """Actions that its own rules refused."""


class Driven:
    """Runs a program once a turn. A driver overrides its methods."""

    name = "driven"
    driven = True
    """A turn runs another party's program, which may cost money."""
    usual = ""
    """The program's name on PATH."""
    sign_in = ""
    """The command that signs a person in."""
    add_credit = "add credit to the account that the program uses, or sign in to another one"
    """The command or the place that adds credit."""
    get_access = "ask who runs the account for access, or sign in to another one"
    """The step after a refusal."""
    keeps: tuple[str, ...] = ()
    """Files of the person's home that sign the program in; copied into its private home."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.notes: list[str] = []

    def propose(self, turn: Turn) -> Proposal | None:
        """One turn. Raises AgentFailed if the file is as before, or no plain file."""
        before = _read_kernel(turn)
        home = self._prepare_home(turn)
        try:
            ended, said = self.converse(turn, home)
        finally:
            with _SIGN_IN:
                self.notes += self._find_sign_in(turn).collect(home)
        after = _read_kernel(turn)
        if after is None:
            raise AgentFailed("left no plain file in the kernel's place",
                              tokens=said.tokens, cost_usd=said.cost_usd)
        broken = said.error is not None and not said.stopped and not ended.killed
        broken = broken or ended.killed in ("full", "no-room")
        if broken or after in (before, turn.champion):
            raise self.make_failure(ended, said, home)
        return Proposal(
            after,
            extract_hypothesis(said.text),
            said.tokens,
            said.cost_usd,
            extract_prediction(said.text),
            note="; ".join(said.refused),
        )

    def converse(self, turn: Turn, home: Path) -> tuple[ProgramResult, TurnReport]:
        """One turn of the program, from its prompt to its report."""
        ended = run_program(self.build_run(turn, home))
        return ended, self.parse_output(ended)

    def build_run(self, turn: Turn, home: Path) -> ProgramRun:
        """The run of the program for a turn."""
        return ProgramRun(
            [
                self.settings.program or self.usual,
                *self.build_command(turn),
                *self.settings.arguments,
            ],
            writes=turn.kernel.parent,
            home=home,
            cwd=turn.kernel.parent,
            reads=list_papers(turn),
            hides=(turn.kernel.parent.parent / "cheats",),
            env=self.build_environment(turn, home),
            stdin=self.build_input(turn).encode(),
            seconds=60.0 * self.settings.minutes,
            is_result=self.is_result,
            most_bytes=find_home_limit(),
        )

    def make_failure(
        self, ended: ProgramResult, said: TurnReport, home: Path | None = None
    ) -> AgentFailed:
        """Why a turn brought no candidate, of which kind, and the command that fixes it."""
        tokens, cost = said.tokens, said.cost_usd
        if ended.killed in ("full", "no-room"):
            why = ("almost filled the disk" if ended.killed == "no-room" else
                   f"grew beyond {find_home_limit() / 1e9:g} GB (LAR_AGENT_HOME_GB)")
            what = f"its home {home} {why}: its turn was ended"
            return AgentFailed(what, FailureKind.UNUSABLE, tokens=tokens, cost_usd=cost,
                               next=f"look what is in it, or rm -r {home}")
        if ended.killed:
            what = f"did not end within {self.settings.minutes:g} minutes"
            return AgentFailed(what, tokens=tokens, cost_usd=cost)
        complaint = said.error
        if complaint is None:
            end = f", saying {strip_text(said.text, 160)!r}" if said.text else ""
            what = f"ended its turn without changing the file{end}"
            return AgentFailed(what, tokens=tokens, cost_usd=cost)
        complaint = replace(complaint, shown=strip_text(complaint.shown, 300))
        failed = AgentFailed(complaint, tokens=tokens, cost_usd=cost)
        failed.next = self.find_fix(failed.kind)
        return failed

    def find_fix(self, kind: FailureKind) -> str | None:
        """The command or the step that ends a failure which a person has to fix."""
        return {
            FailureKind.SIGNED_OUT: self.sign_in or None,
            FailureKind.NO_CREDIT: self.add_credit,
            FailureKind.REFUSED: self.get_access,
            FailureKind.UNUSABLE: "look at --model, --program and --agent-args",
        }.get(kind)

    # -- methods of a driver ---------------------------------------------------------------

    def build_command(self, turn: Turn) -> Sequence[str]:
        """Arguments of the program."""
        raise NotImplementedError

    def build_input(self, turn: Turn) -> str:
        """Its standard input."""
        raise NotImplementedError

    def build_environment(self, turn: Turn, home: Path) -> dict[str, str]:
        """Its environment beside PATH, HOME and TMPDIR."""
        raise NotImplementedError

    def parse_output(self, ended: ProgramResult) -> TurnReport:
        """Its report, from its output."""
        raise NotImplementedError

    def is_result(self, line: str) -> bool:
        """Whether a line of its output is the result of the turn, after which nothing follows."""
        return False

    def _prepare_home(self, turn: Turn) -> Path:
        """Its private home, with the files that sign it in.

        Raises:
            AgentFailed: the home is too large already.
        """
        name = self.name.split(":")[0]
        home = turn.home / name
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if is_larger((home,), find_home_limit()):
            what = (f"its home {home} has more than {find_home_limit() / 1e9:g} GB "
                    "(LAR_AGENT_HOME_GB)")
            raise AgentFailed(what, FailureKind.UNUSABLE,
                              next=f"look what is in it, or rm -r {home}; ./lar gc names it too")
        with _SIGN_IN:
            self.notes += self._find_sign_in(turn).lend(home)
        return home

    def _find_sign_in(self, turn: Turn) -> SignInFiles:
        """The files that sign the program in."""
        store = turn.root / ".lar" / "sign-in" / Path(self.usual or self.name).name
        return SignInFiles(store, Path.home(), self.keeps, self.sign_in)

    def take_notes(self) -> list[str]:
        """What a person should know about the last turn, such as a renewed sign-in; once."""
        notes, self.notes = self.notes, []
        return notes


def read_object(value: object) -> dict[str, Any]:
    """A JSON object out of a program's report; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def parse_amount(value: object) -> float | None:
    """A number of tokens or dollars as a program reports it; None if it is not one."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e15:
        return None
    return float(value)


def sum_tokens(*values: object) -> int:
    """Sum of numbers of tokens; a value that is no number counts as 0."""
    return sum(int(parse_amount(value) or 0) for value in values)


def list_papers(turn: Turn) -> tuple[Path, ...]:
    """The files that an agent may read: the target's directory, and Lance's own code as built."""
    slices = turn.root / ".lar" / "extracts" / turn.target
    return tuple(path for path in (turn.kernel.parent.parent, slices) if path.is_dir())


def _read_kernel(turn: Turn) -> bytes | None:
    try:
        return read_kernel(turn.kernel, inside=turn.kernel.parents[3])
    except RejectedKernel:
        return None


def describe_death(ended: ProgramResult) -> Complaint:
    """The complaint about a program that ended without its result: its last line of stderr."""
    lines = [line for line in ended.stderr[-4000:].splitlines() if line.strip()]
    last = strip_text(lines[-1], 200) if lines else ""
    shown = f"ended in mid-turn with exit status {ended.code}" + (f": {last}" if last else "")
    kind = FailureKind.CRASHED if ended.code else FailureKind.NONSENSE
    return Complaint(shown, last, otherwise=kind)
