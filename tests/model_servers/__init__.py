"""Scripted model servers on loopback: what a vendor's program talks to instead of a model.

    with anthropic.Server([use("Edit", file_path=..., ...), say("HYPOTHESIS: ...")]) as server:
        run the real program with ANTHROPIC_BASE_URL=server.url
    server.seen                      # every request's JSON body, in order

One step answers one request; when the steps are used up the model says it is done.
"""

from __future__ import annotations

import http.server
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Step:
    """One answer of the model."""

    say: str | None = None
    tool: str | None = None
    input: dict[str, Any] = field(default_factory=dict)
    status: int | None = None
    """Instead of an answer: an HTTP error."""
    tokens: tuple[int, int] = (1000, 100)
    """Input and output tokens it claims to have used."""
    cut: bool = False
    """Close the connection in the middle of the answer."""
    wait: float = 0.0
    """Seconds before the answer."""


def say(text: str, **more: Any) -> Step:
    """Plain text; ends the turn."""
    return Step(say=text, **more)


def use(tool: str, **arguments: Any) -> Step:
    """Call one of the program's tools."""
    return Step(tool=tool, input=arguments)


def fail(status: int) -> Step:
    """An HTTP error, such as 429 or 500."""
    return Step(status=status)


DONE = say("HYPOTHESIS: nothing left to do")


class Server:
    """Answers POSTs with the steps in order. A protocol fills in `answer`."""

    def __init__(self, steps: list[Step]) -> None:
        self.left = list(steps)
        self.seen: list[dict[str, Any]] = []
        self.heads: list[dict[str, str]] = []
        self._turn = threading.Lock()
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *why: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, path: str, body: dict[str, Any], step: Step, n: int) -> tuple[str, bytes]:
        """Content type and body that say `step` in this protocol."""
        raise NotImplementedError

    def counts(self, path: str, body: dict[str, Any]) -> bool:
        """Whether a request uses up a step; others get an empty object."""
        raise NotImplementedError

    def next_step(self, body: dict[str, Any]) -> tuple[Step, int]:
        """The step for a request that counts, and its number."""
        with self._turn:
            self.seen.append(body)
            return (self.left.pop(0) if self.left else DONE), len(self.seen)

    def _handler(server) -> type[http.server.BaseHTTPRequestHandler]:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *words: object) -> None:
                """Silent."""

            def reply(self, status: int, kind: str, body: bytes, *, cut: bool = False) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if cut else body)
                self.close_connection = self.close_connection or cut

            def do_HEAD(self) -> None:
                self.reply(200, "application/json", b"")

            def do_GET(self) -> None:
                self.reply(200, "application/json", b'{"data": [], "models": []}')

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers.get("content-length") or 0))
                body = json.loads(data or b"{}")
                if not server.counts(self.path, body):
                    return self.reply(200, "application/json", b'{"input_tokens": 10}')
                server.heads.append(dict(self.headers))
                step, n = server.next_step(body)
                time.sleep(step.wait)
                if step.status is not None:
                    inner = {"type": "scripted", "message": step.say or "scripted"}
                    error = {"type": "error", "error": inner}
                    return self.reply(step.status, "application/json", json.dumps(error).encode())
                kind, text = server.answer(self.path, body, step, n)
                return self.reply(200, kind, text, cut=step.cut)

        return Handler


def events(rows: list[tuple[str, dict[str, Any]]]) -> tuple[str, bytes]:
    """Server-sent events."""
    text = "".join(f"event: {name}\ndata: {json.dumps(row)}\n\n" for name, row in rows)
    return "text/event-stream", text.encode()
