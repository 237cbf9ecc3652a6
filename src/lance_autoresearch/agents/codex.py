"""Codex, one `codex exec` a turn.

Its own sandbox is the first fence: commands run without network and write the kernel's
directory only (Codex cannot grant a single file). It reports tokens and no cost: with a price
(`--price IN,OUT`) the loop knows the cost.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lance_autoresearch.agents import Turn
from lance_autoresearch.agents.driven import (
    Driven,
    TurnReport,
    describe_death,
    read_object,
    sum_tokens,
)
from lance_autoresearch.agents.failures import Complaint, merge_body, say
from lance_autoresearch.agents.prompt import render_contract, render_report
from lance_autoresearch.host.agent_sandbox import ProgramResult, select_environment

PERMISSIONS = (
    'permissions.kernel={filesystem={":root"="read",'
    '":workspace_roots"={"."="read","kernel"="write"}},network={enabled=false}}'
)


class CodexAgent(Driven):
    """`codex exec` of version 0.160 or newer."""

    name = "codex"
    usual = "codex"
    sign_in = "codex login, or export CODEX_API_KEY"
    add_credit = ("add credit at https://chatgpt.com/settings/usage (an API key: "
                  "https://platform.openai.com/settings/organization/billing), or sign in to "
                  "another account: codex login")
    keeps = (".codex/auth.json",)

    def build_command(self, turn: Turn) -> Sequence[str]:
        """Non-interactive, nothing kept, one writable directory."""
        words = ["exec", "--json", "--ephemeral", "--ignore-user-config", "--ignore-rules"]
        words += ["--skip-git-repo-check", "-C", str(turn.kernel.parent.parent)]
        words += ["-c", "approval_policy=never", "-c", "default_permissions=kernel"]
        words += ["-c", PERMISSIONS]
        if self.settings.model:
            words += ["-m", self.settings.model]
        return words

    def build_input(self, turn: Turn) -> str:
        """The contract and where the campaign stands."""
        return f"{render_contract(turn)}\n\n# Now\n\n{render_report(turn)}"

    def build_environment(self, turn: Turn, home: Path) -> dict[str, str]:
        """Its vendor's names; its own directory lies in the private home."""
        own = home / ".codex"
        own.mkdir(exist_ok=True, mode=0o700)
        env = select_environment("OPENAI_", "CODEX_", "AZURE_OPENAI_") | {"CODEX_HOME": str(own)}
        if "OPENAI_API_KEY" in os.environ:
            env.setdefault("CODEX_API_KEY", os.environ["OPENAI_API_KEY"])
        return env

    def is_result(self, line: str) -> bool:
        """The end of the turn, good or bad, is the last event."""
        rows = _parse_rows(line) if '"turn.' in line else []
        return any(row.get("type") in ("turn.completed", "turn.failed") for row in rows)

    def parse_output(self, ended: ProgramResult) -> TurnReport:
        """Events: the last message, the tokens of the turn, the last error."""
        text, error, tokens, cost, complete = "", None, None, None, False
        for row in _parse_rows(ended.stdout):
            kind = row.get("type")
            item = read_object(row.get("item"))
            if kind == "item.completed" and item.get("type") == "agent_message":
                text = str(item.get("text", ""))
            elif kind == "turn.completed":
                complete = True
                tokens, cost = self._count_usage(read_object(row.get("usage")))
            elif kind in ("error", "turn.failed"):
                error = _read_complaint(row)
        if complete and ended.code == 0:
            error = None
        elif error is None:
            error = describe_death(ended)
            error = replace(error, text="") if complete else error
        return TurnReport(text, error, tokens=tokens, cost_usd=cost)

    def _count_usage(self, usage: dict[str, Any]) -> tuple[int, float | None]:
        into, out = sum_tokens(usage.get("input_tokens")), sum_tokens(usage.get("output_tokens"))
        price = self.settings.price
        return into + out, (into * price[0] + out * price[1]) / 1e6 if price else None


def _read_complaint(row: dict[str, Any]) -> Complaint:
    """An `error` event, or the error of `turn.failed`: a message, in some versions codes too."""
    inner = read_object(row.get("error"))
    message = str(row.get("message") or inner.get("message") or row.get("type"))
    return merge_body(say(message), inner)


def _parse_rows(stdout: str) -> list[dict[str, Any]]:
    rows = []
    for line in stdout.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows
