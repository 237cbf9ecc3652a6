"""Codex, one `codex exec` a turn.

Its own sandbox is the first fence: commands run without network and write the kernel's
directory only (Codex cannot grant a single file). It reports tokens and no cost: with a price
(`--price IN,OUT`) the loop knows what was spent.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lance_autoresearch.agents import Turn
from lance_autoresearch.agents.driven import Driven, Said, counted, table
from lance_autoresearch.agents.prompt import contract, report
from lance_autoresearch.host.agent_sandbox import Ended, passed_on
from lance_autoresearch.text.plain_text import stripped

PERMISSIONS = (
    'permissions.kernel={filesystem={":root"="read",'
    '":workspace_roots"={"."="read","kernel"="write"}},network={enabled=false}}'
)


class CodexAgent(Driven):
    """`codex exec` of version 0.160 or newer."""

    name = "codex"
    usual = "codex"
    sign_in = "codex login, or export CODEX_API_KEY"
    keeps = (".codex/auth.json",)

    def command(self, turn: Turn) -> Sequence[str]:
        """Non-interactive, nothing kept, one writable directory."""
        words = ["exec", "--json", "--ephemeral", "--ignore-user-config", "--ignore-rules"]
        words += ["--skip-git-repo-check", "-C", str(turn.kernel.parent.parent)]
        words += ["-c", "approval_policy=never", "-c", "default_permissions=kernel"]
        words += ["-c", PERMISSIONS]
        if self.settings.model:
            words += ["-m", self.settings.model]
        return words

    def input(self, turn: Turn) -> str:
        """The contract and where the campaign stands."""
        return f"{contract(turn)}\n\n# Now\n\n{report(turn)}"

    def environment(self, turn: Turn, home: Path) -> dict[str, str]:
        """Its vendor's names; its own directory lies in the private home."""
        own = home / ".codex"
        own.mkdir(exist_ok=True, mode=0o700)
        env = passed_on("OPENAI_", "CODEX_", "AZURE_OPENAI_") | {"CODEX_HOME": str(own)}
        if "OPENAI_API_KEY" in os.environ:
            env.setdefault("CODEX_API_KEY", os.environ["OPENAI_API_KEY"])
        return env

    def heard(self, ended: Ended) -> Said:
        """Events: the last message, the tokens of the turn, the last error."""
        text, error, tokens, cost, complete = "", "", None, None, False
        for row in _rows(ended.stdout):
            kind = row.get("type")
            item = table(row.get("item"))
            if kind == "item.completed" and item.get("type") == "agent_message":
                text = str(item.get("text", ""))
            elif kind == "turn.completed":
                complete = True
                tokens, cost = self._spent(table(row.get("usage")))
            elif kind in ("error", "turn.failed"):
                error = str(row.get("message") or table(row.get("error")).get("message") or kind)
        if complete and ended.code == 0:
            error = ""
        elif not error:
            tail = stripped(ended.stderr[-300:], 200)
            error = f"ended in mid-turn with exit status {ended.code}: {tail}".rstrip(": ")
        return Said(text, error, tokens=tokens, cost_usd=cost)

    def _spent(self, usage: dict[str, Any]) -> tuple[int, float | None]:
        into, out = counted(usage.get("input_tokens")), counted(usage.get("output_tokens"))
        price = self.settings.price
        return into + out, (into * price[0] + out * price[1]) / 1e6 if price else None


def _rows(stdout: str) -> list[dict[str, Any]]:
    rows = []
    for line in stdout.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows
