"""The messages protocol, as Claude Code speaks it."""

from __future__ import annotations

import json
from typing import Any

from model_servers import Server as Base
from model_servers import Step, events


class Server(Base):
    """POST /v1/messages, streamed or whole."""

    def counts(self, path: str, body: dict[str, Any]) -> bool:
        # Requests without tools are the program's own (titles, probes), not the agent's.
        return path.split("?")[0].endswith("/v1/messages") and bool(body.get("tools"))

    def answer(self, path: str, body: dict[str, Any], step: Step, n: int) -> tuple[str, bytes]:
        if step.tool is None:
            block: dict[str, Any] = {"type": "text", "text": step.say}
            empty: dict[str, Any] = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": step.say}
        else:
            block = {"type": "tool_use", "id": f"toolu_{n}", "name": step.tool, "input": step.input}
            empty = block | {"input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(step.input)}
        why = {"stop_reason": "tool_use" if step.tool else "end_turn", "stop_sequence": None}
        used = {"input_tokens": step.tokens[0], "output_tokens": step.tokens[1]}
        message = {
            "id": f"msg_{n}", "type": "message", "role": "assistant", "model": body.get("model"),
            "content": [], "stop_reason": None, "stop_sequence": None, "usage": used,
        }
        if not body.get("stream"):
            return "application/json", json.dumps(message | {"content": [block]} | why).encode()
        rows = [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": empty},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": why, "usage": {"output_tokens": step.tokens[1]}},
            {"type": "message_stop"},
        ]
        return events([(row["type"], row) for row in rows])
