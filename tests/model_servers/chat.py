"""Chat completions, as most servers of open models speak them."""

from __future__ import annotations

import json
from typing import Any

from model_servers import Server as Base
from model_servers import Step


class Server(Base):
    """POST /chat/completions, whole answers."""

    def counts(self, path: str, body: dict[str, Any]) -> bool:
        return path.split("?")[0].endswith("/chat/completions")

    def answer(self, path: str, body: dict[str, Any], step: Step, n: int) -> tuple[str, bytes]:
        message: dict[str, Any] = {"role": "assistant", "content": step.say}
        if step.tool is not None:
            call = {"name": step.tool, "arguments": json.dumps(step.input)}
            message["tool_calls"] = [{"id": f"call_{n}", "type": "function", "function": call}]
        into, out = step.tokens
        row = {
            "id": f"chat_{n}", "object": "chat.completion", "created": 0,
            "model": body.get("model"),
            "choices": [{"index": 0, "message": message,
                         "finish_reason": "tool_calls" if step.tool else "stop"}],
            "usage": {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out},
        }
        return "application/json", json.dumps(row).encode()
