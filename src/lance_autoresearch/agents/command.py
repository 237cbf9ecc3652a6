"""Any command as the agent: `--agent 'cmd:my-agent --fast'`.

It runs in the kernel's directory with the prompt on standard input and edits `kernels.rs`
there; exit status 0 is success. The last line it prints is its hypothesis, or a JSON object:

    {"hypothesis": "unroll by two", "predicted": 3, "tokens": 5200, "cost_usd": 0.04}

A program that cannot go on exits with another status. A last line of JSON may say why, else the
last line on standard error is read as its error message (75, EX_TEMPFAIL, alone: wait):

    {"failure": "limit", "until": "2026-12-01T03:00:00Z"}

`failure` is limit, overloaded, network (the loop waits), signed-out, no-credit, refused, unusable
(the loop ends), policy, crashed, nonsense, no-candidate or unknown.

It gets the environment of the person who typed the command, since they chose the program.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lance_autoresearch.agents import Settings, Turn
from lance_autoresearch.agents.driven import Driven, TurnReport, describe_death, parse_amount
from lance_autoresearch.agents.failure_table import EXITS
from lance_autoresearch.agents.failures import Complaint, FailureKind
from lance_autoresearch.agents.prompt import render_contract, render_report
from lance_autoresearch.agents.reset_time import parse_moment
from lance_autoresearch.errors import UsageError
from lance_autoresearch.host.agent_sandbox import ProgramResult, find_program
from lance_autoresearch.text.plain_text import strip_text


class CommandAgent(Driven):
    """A program and its arguments, split as a shell would, run without one."""

    prefix = "cmd:"

    def __init__(self, line: str, settings: Settings | None = None) -> None:
        """Raises UsageError if the line is empty or its program is not there."""
        super().__init__(settings)
        try:
            self._words = shlex.split(line)
        except ValueError as error:
            raise UsageError(f"cannot read the command: {error}", where=line) from error
        if not self._words:
            raise UsageError(f"no command behind {self.prefix}",
                             next=f"./lar loop TARGET --agent '{self.prefix}my-agent'")
        self.usual = str(find_program(self._words[0]))
        self.name = f"{self.prefix}{Path(self._words[0]).name}"

    def build_command(self, turn: Turn) -> Sequence[str]:
        """The words behind the program."""
        return self._words[1:]

    def build_input(self, turn: Turn) -> str:
        """The contract and where the campaign stands."""
        return f"{render_contract(turn)}\n\n# Now\n\n{render_report(turn)}"

    def build_environment(self, turn: Turn, home: Path) -> dict[str, str]:
        """The person's own environment, and the places of files."""
        return {**os.environ, "LAR_KERNEL": str(turn.kernel), "LAR_TARGET": turn.target}

    def is_result(self, line: str) -> bool:
        """An object with its hypothesis or its failure."""
        return bool({"hypothesis", "failure"} & _parse_object(line).keys())

    def parse_output(self, ended: ProgramResult) -> TurnReport:
        """Its last line, as JSON or as it is."""
        lines = [line for line in ended.stdout.splitlines() if line.strip()]
        row = _parse_object(lines[-1]) if lines else {}
        text = ended.stdout
        if row:
            idea, guess = strip_text(str(row.get("hypothesis", "")), 400), row.get("predicted")
            text = f"HYPOTHESIS: {idea}\nPREDICTED GAIN: {guess}"
        error = None if ended.code == 0 else _read_complaint(ended, row)
        tokens = parse_amount(row.get("tokens"))
        cost = parse_amount(row.get("cost_usd"))
        spent = None if tokens is None else int(tokens)
        return TurnReport(text, error, tokens=spent, cost_usd=cost)


def _read_complaint(ended: ProgramResult, row: dict[str, Any]) -> Complaint:
    """A `failure` that the program names, else its exit status and last line of stderr."""
    death = describe_death(ended)
    shown = death.text or f"exit status {ended.code}"
    named = str(row.get("failure", ""))
    if named in set(FailureKind):
        until = parse_moment(row.get("until"))
        return Complaint(shown, until=until, otherwise=FailureKind(named))
    text = f"{ended.stderr.strip()[-300:] or shown}"
    return Complaint(text, death.text, otherwise=EXITS.get(ended.code, FailureKind.CRASHED))


def _parse_object(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}
