"""Subjects of fuzzing: a coding agent's output, its protocol messages and its calls of tools.

    SUBJECTS of fuzz_subjects.py: agents, acp, api
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import math
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


@functools.cache
def _drivers() -> tuple[Any, ...]:
    from lance_autoresearch.agents import Settings
    from lance_autoresearch.agents.claude import ClaudeAgent
    from lance_autoresearch.agents.codex import CodexAgent
    from lance_autoresearch.agents.command import CommandAgent

    priced = Settings(price=(1.0, 2.0))
    return ClaudeAgent(priced), CodexAgent(priced), CommandAgent("true", priced)


def agents(data: bytes) -> None:
    """A coding agent's output: any bytes give a report with usable numbers."""
    from lance_autoresearch.agents.prompt import extract_hypothesis, extract_prediction
    from lance_autoresearch.host.agent_sandbox import ProgramResult

    out = data[1:].decode("utf-8", "replace")
    driver = _drivers()[data[0] % 3 if data else 0]
    said = driver.parse_output(
        ProgramResult(data[0] >> 7 if data else 0, out, out[-400:], None, 1.0)
    )
    assert said.tokens is None or (isinstance(said.tokens, int) and 0 <= said.tokens < 1 << 63)
    assert said.cost_usd is None or (math.isfinite(said.cost_usd) and said.cost_usd >= 0)
    assert isinstance(said.text, str)
    assert said.error is None or isinstance(said.error.shown, str)
    assert not FORBIDDEN.search(extract_hypothesis(said.text) + "".join(said.refused))
    assert (extract_prediction(said.text) or 0) <= 1e4
    driver.make_failure(ProgramResult(1, out, out, None, 1.0), said)


@functools.cache
def _place() -> tempfile.TemporaryDirectory[str]:
    """In memory if there is such a place: a subject runs a hundred times a second."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)


@contextlib.contextmanager
def _desk() -> Iterator[Any]:
    """A turn on a desk with a kernel; the kernel alone may have changed afterwards."""
    from lance_autoresearch.agents import Turn

    place = Path(_place().name)
    kernel = place / "targets" / "pq-l2" / "kernel" / "kernels.rs"
    kernel.parent.mkdir(parents=True, exist_ok=True)
    kernel.write_bytes(b"fn a() {}\n")
    paper = kernel.parent.parent / "program.md"
    paper.write_bytes(b"# program\n")
    yield Turn("pq-l2", b"fn a() {}\n", kernel, root=place, home=place / "home")
    files = sorted(p for p in place.rglob("*") if p.is_file())
    assert files == [kernel, paper] and paper.read_bytes() == b"# program\n"


async def _said(turn: Any, data: bytes) -> Any:
    """Every message of an agent, through the protocol's own forms, to our side's answers."""
    from types import SimpleNamespace

    from acp import RequestError, schema
    from pydantic import ValidationError

    from lance_autoresearch.agents.acp_client import Client, Messages

    forms: dict[str, Any] = {
        "session/update": (schema.SessionNotification, "session_update"),
        "session/request_permission": (schema.RequestPermissionRequest, "request_permission"),
        "fs/read_text_file": (schema.ReadTextFileRequest, "read_text_file"),
        "fs/write_text_file": (schema.WriteTextFileRequest, "write_text_file"),
    }
    stream = asyncio.StreamReader()
    stream.feed_data(data)
    stream.feed_eof()
    messages = Messages(cast(Any, SimpleNamespace(stdin=stream, stdout=stream)))
    client = Client(turn, rounds=20)
    while (row := await messages.receive()) is not None:
        form, method = forms.get(str(row.get("method")), (None, ""))
        if form is not None:
            with contextlib.suppress(ValidationError, RequestError):
                asked = form.model_validate(row.get("params"))
                given = {name: getattr(asked, name) for name in type(asked).model_fields}
                await getattr(client, method)(**given)
    assert not FORBIDDEN.search(messages.nonsense)
    return client


def acp(data: bytes) -> None:
    """An agent's messages in the Agent Client Protocol: they change the kernel and nothing else."""
    with _desk() as turn:
        client = asyncio.run(_said(turn, data))
        assert client.cost_usd is None or (math.isfinite(client.cost_usd) and client.cost_usd >= 0)
        assert not FORBIDDEN.search("".join(client.refused) + client.why)


def api(data: bytes) -> None:
    """Arguments of a model's tools: any arguments give an answer."""
    from lance_autoresearch.agents import api as form

    words = [part.decode("utf-8", "replace") for part in data.split(b"\0", 4)]
    path, old, new, first, lines, *_ = [*words, "", "", "", "", ""]
    with _desk() as turn:
        read, replace = form._make_read_tool(turn), form._make_replace_tool(turn)
        number = len(first) - 3
        assert isinstance(asyncio.run(read(path, number, len(lines) - 3)), str)
        assert isinstance(asyncio.run(replace(old, new, path)), str)
        assert isinstance(asyncio.run(replace(old, new)), str)


def spoken(name: str) -> list[bytes]:
    """Outputs of programs."""
    if name == "acp":
        return [b"\n".join(_protocol_rows())]
    if name == "api":
        return [b"program.md\0fn a\0fn b\0abcd\0abcd", b"kernels.rs\0\0fn c() {}\0\0"]
    if name != "agents":
        red = b"\x1b[31mred\x1b[0m \x1b]0;t\x07 \xe2\x80\xae"
        return [red, b"error: x\n --> kernels.rs:7:1\n\nz"]
    usage = {"input_tokens": 1, "output_tokens": 2}
    claude: list[dict[str, Any]] = [
        {"type": "assistant", "message": {"content": [{"type": "text", "text": "HYPOTHESIS: a"}]}},
        {"type": "result", "subtype": "success", "is_error": False, "result": "HYPOTHESIS: b\n"
         "PREDICTED GAIN: +4", "total_cost_usd": 0.1, "usage": usage,
         "permission_denials": [{"tool_name": "Bash", "tool_input": {"command": "ls"}}]},
    ]  # fmt: skip
    codex: list[dict[str, Any]] = [
        {"type": "item.completed", "item": {"type": "agent_message", "text": "HYPOTHESIS: c"}},
        {"type": "turn.failed", "error": {"message": "429"}},
        {"type": "turn.completed", "usage": usage},
    ]
    own = [{"hypothesis": "d", "predicted": 3, "tokens": 5200, "cost_usd": 0.04}]
    lines = ["\n".join(json.dumps(row) for row in rows) for rows in (claude, codex, own)]
    return [bytes([i]) + text.encode() for i, text in enumerate(lines)]


def _protocol_rows() -> Iterator[bytes]:
    """One message of each kind that our side answers."""
    call = {"toolCallId": "1", "title": "edit", "kind": "edit", "status": "pending",
            "rawInput": {"path": "kernel/kernels.rs"}, "locations": [{"path": "program.md"}],
            "content": [{"type": "diff", "path": "a", "oldText": "b", "newText": "c"}]}  # fmt: skip
    words = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "HYP"}}
    cost = {"sessionUpdate": "usage_update", "used": 1, "size": 2,
            "cost": {"amount": 0.5, "currency": "USD"}}  # fmt: skip
    may = [{"optionId": "y", "name": "yes", "kind": "allow_once"}]
    rows: list[tuple[str, dict[str, Any]]] = [
        ("session/update", {"update": words}),
        ("session/update", {"update": {"sessionUpdate": "tool_call", **call}}),
        ("session/update", {"update": cost}),
        ("session/request_permission", {"toolCall": call, "options": may}),
        ("fs/read_text_file", {"path": "program.md", "line": 1, "limit": 2}),
        ("fs/write_text_file", {"path": "kernel/kernels.rs", "content": "fn b() {}"}),
    ]
    for method, params in rows:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"sessionId": "s", **params}}
        yield json.dumps(body).encode()
