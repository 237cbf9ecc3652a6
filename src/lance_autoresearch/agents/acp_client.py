"""Our side of a conversation in the Agent Client Protocol: our answers to the agent's program.

    request_permission   yes to reading and to an edit of the kernel alone, else no
    fs/read_text_file    the papers and the kernel
    fs/write_text_file   the kernel
    session/update       its words, tool calls and costs are noted; a limit of ours sets `over`
    anything else        not offered

The sandbox is the fence; these answers keep an honest agent inside it, and say so.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lance_autoresearch.agents import Turn
from lance_autoresearch.agents.files import (
    FileRefused,
    is_kernel,
    read_paper,
    write_kernel,
)
from lance_autoresearch.text.plain_text import strip_text

if TYPE_CHECKING:
    from acp.schema import (
        PermissionOption,
        ReadTextFileResponse,
        RequestPermissionResponse,
        ToolCallUpdate,
        WriteTextFileResponse,
    )

LONGEST_MESSAGE = 16 << 20
"""Bytes of one message."""
KEPT_TEXT = 64 << 10
"""Characters of an agent's last words that are kept."""
CALLS = 2000
"""Tool calls remembered until their permission is asked."""
HARMLESS = ("read", "search", "think")
PATHS = ("path", "file_path", "filePath", "filepath", "absolute_path", "abs_path", "target_file")
"""Names under which agents give the file of a tool call, beside `locations` and diffs."""


class Messages:
    """JSON objects over a program's pipes, one a line; any other line is noted and skipped."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._to, self._from = process.stdin, process.stdout
        self.nonsense = ""
        """The last line that was no message."""

    async def send(self, message: dict[str, Any]) -> None:
        """Raises ConnectionError if the program is gone."""
        self._to.write(json.dumps(message).encode() + b"\n")
        await self._to.drain()

    async def receive(self) -> dict[str, Any] | None:
        """The next message; None at the end, or at a line that is too long."""
        while True:
            try:
                line = await self._from.readline()
            except ValueError:
                self.nonsense = f"a line of more than {LONGEST_MESSAGE} bytes"
                return None
            if not line:
                return None
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict):
                return row
            if line.strip():
                self.nonsense = strip_text(line[:1000].decode("utf-8", "replace"), 200)

    async def close(self) -> None:
        """No more messages to the program."""
        self._to.close()


@dataclass(slots=True)
class Call:
    """The known facts of a tool call."""

    kind: str | None = None
    paths: tuple[str, ...] = ()
    diffs: bool = False
    title: str = ""


class Client:
    """Answers one turn's requests and counts what it uses."""

    def __init__(self, turn: Turn, rounds: int) -> None:
        self._turn = turn
        self._rounds = rounds
        self._words: list[str] = [""]
        self._calls: dict[str, Call] = {}
        self._count = 0
        self.refused: list[str] = []
        self.cost_usd: float | None = None
        self.over = asyncio.Event()
        """A limit of ours was reached..."""
        self.why = ""
        """...this one."""

    @property
    def text(self) -> str:
        """The agent's last message."""
        return next((words for words in reversed(self._words) if words.strip()), "")

    # -- the protocol's methods: names and arguments are the library's -------------------------

    async def session_update(self, session_id: str, update: Any, **_more: Any) -> None:
        """Note words, tool calls and costs."""
        kind = update.session_update
        if kind == "agent_message_chunk":
            words = getattr(update.content, "text", "")
            self._words[-1] = (self._words[-1] + words)[-KEPT_TEXT:]
        elif kind == "tool_call":
            self._words = [self.text, ""]
            self._count += 1
            self._merge_call(update)
            if self._count > self._rounds:
                self._end_turn("it used up its rounds")
        elif kind == "tool_call_update":
            self._merge_call(update)
        elif kind == "usage_update" and update.cost is not None:
            self._add_cost(update.cost.amount, update.cost.currency)

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: Sequence[PermissionOption],
        **_more: Any,
    ) -> RequestPermissionResponse:
        """Permit it once if the sandbox allows it; never for always."""
        from acp.schema import AllowedOutcome, DeniedOutcome, RequestPermissionResponse

        call = self._merge_call(tool_call)
        good = self._is_allowed(call)
        if not good:
            what = " ".join(filter(None, (call.kind, call.title, *call.paths[:1])))
            self._refuse(what or "a tool call without a name")
        for wanted in ("allow_once",) if good else ("reject_once", "reject_always"):
            for option in options:
                if option.kind == wanted:
                    chosen = AllowedOutcome(outcome="selected", option_id=option.option_id)
                    return RequestPermissionResponse(outcome=chosen)
        return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))

    async def read_text_file(
        self, session_id: str, path: str, line: int | None = None, limit: int | None = None,
        **_more: Any,
    ) -> ReadTextFileResponse:
        """A paper or the kernel, from line `line` (from 1), `limit` lines."""
        from acp import RequestError
        from acp.schema import ReadTextFileResponse

        try:
            text = read_paper(self._turn, path)
        except FileRefused as error:
            raise RequestError.invalid_params({"details": str(error)}) from error
        if line is not None or limit is not None:
            first = max(0, (line or 1) - 1)
            last = None if limit is None else first + max(0, limit)
            text = "".join(text.splitlines(keepends=True)[first:last])
        return ReadTextFileResponse(content=text)

    async def write_text_file(
        self, session_id: str, path: str, content: str, **_more: Any
    ) -> WriteTextFileResponse:
        """The kernel."""
        from acp import RequestError
        from acp.schema import WriteTextFileResponse

        try:
            if not is_kernel(self._turn, path):
                self._refuse(f"write {path}")
                raise FileRefused(f"only {self._turn.kernel} can be written")
            write_kernel(self._turn, content)
        except FileRefused as error:
            raise RequestError.invalid_params({"details": str(error)}) from error
        return WriteTextFileResponse()

    async def create_terminal(self, command: str = "", **_more: Any) -> Any:
        """Not offered; an agent that still asks gets this answer."""
        from acp import RequestError

        self._refuse(f"run {command}")
        raise RequestError.method_not_found("terminal/create")

    async def ext_method(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Not offered."""
        from acp import RequestError

        raise RequestError.method_not_found(method)

    async def ext_notification(self, method: str, params: dict[str, Any]) -> None:
        """Ignore the message."""

    # -- helpers of the answers -----------------------------------------------------------------

    def _is_allowed(self, call: Call) -> bool:
        if call.kind in HARMLESS:
            return True
        edits = call.kind == "edit" or (call.kind in (None, "other") and call.diffs)
        return edits and bool(call.paths) and all(is_kernel(self._turn, p) for p in call.paths)

    def _merge_call(self, said: Any) -> Call:
        """Add a message's facts to those of its tool call."""
        if len(self._calls) >= CALLS:
            self._calls.clear()
        call = self._calls.setdefault(said.tool_call_id, Call())
        call.kind = said.kind or call.kind
        call.title = said.title or call.title
        diffs = [block.path for block in said.content or () if block.type == "diff"]
        given = said.raw_input if isinstance(said.raw_input, dict) else {}
        named = [str(given[name]) for name in PATHS if isinstance(given.get(name), str)]
        places = [place.path for place in said.locations or ()]
        call.diffs = call.diffs or bool(diffs)
        call.paths = tuple(dict.fromkeys((*call.paths, *diffs, *places, *named)))[:20]
        return call

    def _refuse(self, what: str) -> None:
        line = f"refused: {strip_text(what, 160)}"
        if len(self.refused) < 5 and line not in self.refused:
            self.refused.append(line)

    def _add_cost(self, amount: float, currency: str) -> None:
        if currency.upper() != "USD" or not amount >= 0:
            return
        self.cost_usd = max(self.cost_usd or 0.0, float(amount))
        left = self._turn.usd_left
        if left is not None and self.cost_usd >= left:
            self._end_turn("it used up its money")

    def _end_turn(self, why: str) -> None:
        self.why = self.why or why
        self.over.set()
