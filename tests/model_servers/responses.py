"""The responses protocol, as Codex speaks it."""

from __future__ import annotations

import json
from typing import Any

from model_servers import Server as Base
from model_servers import Step, events


class Server(Base):
    """POST /responses, streamed."""

    def counts(self, path: str, body: dict[str, Any]) -> bool:
        return path.split("?")[0].endswith("/responses")

    def answer(self, path: str, body: dict[str, Any], step: Step, n: int) -> tuple[str, bytes]:
        done = {"id": f"item_{n}", "status": "completed"}
        if step.tool is None:
            content = [{"type": "output_text", "text": step.say, "annotations": []}]
            item = done | {"type": "message", "role": "assistant", "content": content}
        elif "patch" in step.input:
            item = done | {"type": "custom_tool_call", "call_id": f"call_{n}", "name": step.tool,
                           "input": step.input["patch"]}
        else:
            given = dict(step.input)
            of = {"namespace": given.pop("namespace")} if "namespace" in given else {}
            item = done | of | {"type": "function_call", "call_id": f"call_{n}",
                                "name": step.tool, "arguments": json.dumps(given)}
        into, out = step.tokens
        usage = {
            "input_tokens": into, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": out, "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": into + out,
        }
        response = {"id": f"resp_{n}", "output": [item], "usage": usage}
        rows = [
            {"type": "response.created", "response": {"id": f"resp_{n}"}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": response},
        ]
        return events([(row["type"], row) for row in rows])
