"""Claude Code, one print-mode session a turn.

Its own rules are the first fence: it has Read, Edit, Write, Glob and Grep only, and may
change one file.
`--restricted` loads no CLAUDE.md, settings or skills, so the whole contract is passed on.
A turn's report is its last NDJSON line of type `result`; `subtype: success` may come with
`is_error: true`, so both that and the exit status are read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lance_autoresearch.agents import Turn
from lance_autoresearch.agents.driven import (
    Driven,
    TurnReport,
    describe_death,
    list_papers,
    parse_amount,
    read_object,
    sum_tokens,
)
from lance_autoresearch.agents.failures import Complaint, FailureKind, report_as
from lance_autoresearch.agents.prompt import render_contract, render_report
from lance_autoresearch.agents.reset_time import parse_moment
from lance_autoresearch.host.agent_sandbox import ProgramResult, select_environment
from lance_autoresearch.text.plain_text import strip_text

STOPS = {"error_max_turns": "it used up its rounds", "error_max_budget_usd": "it used up its money"}


class ClaudeAgent(Driven):
    """`claude -p` of version 2.1 or newer."""

    name = "claude"
    usual = "claude"
    sign_in = "claude setup-token, then export CLAUDE_CODE_OAUTH_TOKEN (or ANTHROPIC_API_KEY)"
    add_credit = ("add credit at https://platform.claude.com/settings/billing, or use a "
                  "subscription: claude setup-token, then export CLAUDE_CODE_OAUTH_TOKEN")
    get_access = ("ask the organisation's administrator, or use another account: claude "
                  "setup-token, then export CLAUDE_CODE_OAUTH_TOKEN (or ANTHROPIC_API_KEY)")
    keeps = (".claude/.credentials.json",)

    def build_command(self, turn: Turn) -> Sequence[str]:
        """Print mode, five tools, one writable file, bounded rounds and money."""
        words = ["-p", "--restricted", "--strict-mcp-config", "--permission-prompts", "none"]
        words += ["--permission-mode", "dontAsk", "--tools", "Read,Edit,Write,Glob,Grep"]
        words += ["--allowedTools", "Read", "Glob", "Grep", f"Edit(/{turn.kernel})"]
        words += ["--max-turns", str(self.settings.rounds), "--no-session-persistence"]
        words += ["--output-format", "stream-json", "--verbose"]
        words += ["--append-system-prompt", render_contract(turn)]
        words += ["--add-dir", *(str(path) for path in list_papers(turn))]
        if turn.usd_left is not None:
            words += ["--max-budget-usd", f"{turn.usd_left:.4f}"]
        if self.settings.model:
            words += ["--model", self.settings.model]
        return words

    def build_input(self, turn: Turn) -> str:
        """Where the campaign stands."""
        return render_report(turn)

    def build_environment(self, turn: Turn, home: Path) -> dict[str, str]:
        """Its vendor's names, the clouds it can be served from, and no chatter."""
        quiet = {
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_MAX_RETRIES": "3",  # the loop waits longer and says so
        }
        return quiet | select_environment(
            "ANTHROPIC_", "CLAUDE_CODE_", "AWS_", "CLOUD_ML_", "GOOGLE_"
        )

    def is_result(self, line: str) -> bool:
        """The row of type `result` is the last one."""
        return '"result"' in line and (_parse_row(line) or {}).get("type") == "result"

    def parse_output(self, ended: ProgramResult) -> TurnReport:
        """The `result` line; without one the program died in mid-turn."""
        rows = [row for row in map(_parse_row, ended.stdout.splitlines()) if row]
        result = next((row for row in reversed(rows) if row.get("type") == "result"), None)
        if result is None:
            return TurnReport("", describe_death(ended))
        subtype, text = str(result.get("subtype", "")), str(result.get("result") or "")
        error = None
        if subtype in STOPS:
            error = report_as(FailureKind.NO_CANDIDATE, STOPS[subtype])
        elif result.get("is_error"):
            error = _read_complaint(result, rows)
        elif ended.code != 0:
            error = replace(describe_death(ended), text="")  # after a result that was no error
        usage = read_object(result.get("usage"))
        fields = ("input_tokens", "output_tokens", "cache_creation_input_tokens",
                  "cache_read_input_tokens")
        return TurnReport(
            text or _find_last_words(rows),
            error,
            stopped=subtype in STOPS,
            tokens=sum_tokens(*(usage.get(name) for name in fields)),
            cost_usd=parse_amount(result.get("total_cost_usd")),
            refused=tuple(_list_refusals(result)),
        )


def _read_complaint(result: dict[str, Any], rows: Sequence[dict[str, Any]]) -> Complaint:
    """The error of a result row, and what the rows before it hold in fields.

    Since 2.1 `terminal_reason` says whether an error of the API ended the turn. If it says
    something else, the text is the model's own, and its words decide nothing.
    """
    subtype, text = str(result.get("subtype", "")), str(result.get("result") or "")
    listed = result.get("errors")
    errors = [str(e) for e in listed[:5]] if isinstance(listed, list) else []
    reason = result.get("terminal_reason")
    codes = [result.get(name) for name in ("api_error", "api_error_type", "api_error_code")]
    codes += [row.get("error") for row in rows[-3:] if row.get("type") == "assistant"]
    status, until = result.get("api_error_status"), None
    for row in rows:
        info = read_object(row.get("rate_limit_info"))
        if row.get("type") == "rate_limit_event" and info.get("status") == "rejected":
            until = parse_moment(info.get("resetsAt"))
    own = text if reason in (None, "api_error") else ""
    return Complaint(
        text or "; ".join(errors) or subtype or "an error without a text",
        "\n".join((own, *errors)).strip(),
        tuple(code for code in codes if isinstance(code, str)),
        status if isinstance(status, int) else None,
        until,
    )


def _parse_row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _find_last_words(rows: Sequence[dict[str, Any]]) -> str:
    for row in reversed(rows):
        if row.get("type") == "assistant":
            blocks = read_object(row.get("message")).get("content")
            blocks = blocks if isinstance(blocks, list) else []
            texts = [str(b.get("text", "")) for b in blocks if isinstance(b, dict)]
            if any(texts):
                return "\n".join(texts)
    return ""


def _list_refusals(result: dict[str, Any]) -> list[str]:
    """The denied actions, for the next turn's prompt."""
    said = []
    denials = result.get("permission_denials")
    for denial in map(read_object, denials[:5] if isinstance(denials, list) else []):
        about = read_object(denial.get("tool_input"))
        place = about.get("file_path") or about.get("command") or ""
        said.append(f"refused: {strip_text(str(denial.get('tool_name')), 40)} "
                    f"{strip_text(str(place), 120)}".strip())
    return said
