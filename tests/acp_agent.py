"""An agent of the Agent Client Protocol with a script instead of a model; a program of its own.

    python acp_agent.py '[[{"edit": ["old", "new"]}, {"say": "HYPOTHESIS: ..."}], ...]'

One list of steps a turn, whichever process plays it: turns are counted in $HOME. What it was
answered stands in $HOME/heard.jsonl.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from acp import (
    PROTOCOL_VERSION,
    InitializeResponse,
    NewSessionResponse,
    PromptResponse,
    RequestError,
    run_agent,
    start_tool_call,
    update_agent_message_text,
)
from acp.schema import (
    AgentCapabilities,
    AuthMethodAgent,
    Cost,
    PermissionOption,
    SessionConfigOptionBoolean,
    SessionConfigOptionSelect,
    SessionConfigSelectOption,
    SetSessionConfigOptionResponse,
    ToolCallLocation,
    ToolCallUpdate,
    Usage,
    UsageUpdate,
)

HOME = Path(os.environ["HOME"])
KERNEL = Path(os.environ["LAR_KERNEL"])
OPTIONS = [
    PermissionOption(option_id="always", name="Always", kind="allow_always"),
    PermissionOption(option_id="once", name="Once", kind="allow_once"),
    PermissionOption(option_id="never", name="No", kind="reject_once"),
]


def note(**what: Any) -> None:
    with (HOME / "heard.jsonl").open("a") as file:
        file.write(json.dumps(what) + "\n")


def next_turn() -> int:
    place = HOME / "turn"
    turn = int(place.read_text()) if place.exists() else 0
    place.write_text(str(turn + 1))
    return turn


class Scripted:
    """Plays one turn's steps."""

    def __init__(self, script: list[list[dict[str, Any]]], options: dict[str, Any]) -> None:
        self.script, self.options = script, options
        self.signed_in = not options.get("sign_in")
        self.cancelled = asyncio.Event()
        self.calls = 0

    def on_connect(self, conn: Any) -> None:
        self.client = conn

    async def initialize(self, protocol_version: int, client_capabilities: Any = None,
                         **_more: Any) -> InitializeResponse:
        note(terminal=client_capabilities.terminal, fs=client_capabilities.fs.write_text_file)
        if self.options.get("early_exit"):
            print("wrong option", file=sys.stderr)
            os._exit(64)
        method = AuthMethodAgent(id="scripted-key", name="a key in SCRIPTED_KEY")
        return InitializeResponse(protocol_version=PROTOCOL_VERSION, auth_methods=[method],
                                  agent_capabilities=AgentCapabilities())

    async def authenticate(self, method_id: str, **_more: Any) -> None:
        note(signed_in_by=method_id)
        self.signed_in = True

    async def new_session(self, cwd: str, **_more: Any) -> NewSessionResponse:
        if not self.signed_in:
            raise RequestError.auth_required()
        return NewSessionResponse(session_id="s1", config_options=self.models("small"))

    async def set_config_option(self, config_id: str, session_id: str, value: str | bool,
                                **_more: Any) -> SetSessionConfigOptionResponse:
        note(**{config_id: value})
        return SetSessionConfigOptionResponse(config_options=self.models(str(value)))

    def models(self, now: str) -> list[SessionConfigOptionSelect | SessionConfigOptionBoolean]:
        known = [SessionConfigSelectOption(value=name, name=name) for name in ("small", "large")]
        return [SessionConfigOptionSelect(id="model", name="Model", category="model",
                                          type="select", current_value=now, options=known)]

    async def cancel(self, session_id: str, **_more: Any) -> None:
        note(cancelled=True)
        if not self.options.get("deaf"):
            self.cancelled.set()

    async def prompt(self, session_id: str, prompt: list[Any], **_more: Any) -> PromptResponse:
        note(prompt=prompt[0].text)
        turn, reason = next_turn(), "end_turn"
        for step in self.script[turn] if turn < len(self.script) else []:
            ((name, given),) = step.items()
            try:
                reason = await getattr(self, f"do_{name}")(session_id, given) or reason
            except RequestError as error:
                if name == "error":
                    raise
                note(step=name, refused=error.data)
        tokens = Usage(total_tokens=1200, input_tokens=1000, output_tokens=200)
        return PromptResponse(stop_reason=reason, usage=tokens)

    # -- steps ----------------------------------------------------------------------------------

    async def do_say(self, session: str, text: str) -> None:
        await self.client.session_update(session, update_agent_message_text(text))

    async def do_read(self, session: str, path: str) -> None:
        answer = await self.client.read_text_file(session_id=session, path=path)
        note(read=path, text=answer.content)

    async def do_write(self, session: str, given: list[str]) -> None:
        path, text = given
        await self.client.write_text_file(session_id=session, path=path, content=text)
        note(written=path)

    async def do_replace(self, session: str, given: list[str]) -> None:
        """Through the client's file system, without asking."""
        text = KERNEL.read_text().replace(*given)
        await self.do_write(session, [str(KERNEL), text])

    async def do_edit(self, session: str, given: list[str]) -> None:
        """With its own hands, after asking."""
        if await self.asked(session, "edit", str(KERNEL)):
            KERNEL.write_text(KERNEL.read_text().replace(*given))

    async def do_ask(self, session: str, given: list[str]) -> None:
        await self.asked(session, *given)

    async def do_poke(self, session: str, path: str) -> None:
        """With its own hands, without asking."""
        try:
            Path(path).write_text("poked")
            note(poked=path)
        except OSError as error:
            note(poke=path, errno=error.strerror)

    async def do_look(self, session: str, path: str) -> None:
        """With its own eyes."""
        note(look=path, there=Path(path).exists())

    async def do_usd(self, session: str, amount: float) -> None:
        cost = Cost(amount=amount, currency="USD")
        update = UsageUpdate(session_update="usage_update", used=1, size=2, cost=cost)
        await self.client.session_update(session, update)

    async def do_calls(self, session: str, count: int) -> str | None:
        for _ in range(count):
            await self.started(session, "read", str(KERNEL))
            if self.cancelled.is_set():
                return "cancelled"
            await asyncio.sleep(0.01)
        return None

    async def do_sleep(self, session: str, seconds: float) -> str | None:
        try:
            await asyncio.wait_for(self.cancelled.wait(), seconds)
        except TimeoutError:
            return None
        return "cancelled"

    async def do_terminal(self, session: str, command: str) -> None:
        await self.client.create_terminal(session_id=session, command=command)

    async def do_print(self, session: str, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    async def do_crash(self, session: str, status: int) -> None:
        time.sleep(0.1)
        print("scripted crash", file=sys.stderr)
        os._exit(status)

    async def do_error(self, session: str, given: list[Any]) -> None:
        raise RequestError(int(given[0]), str(given[1]))

    async def do_stop(self, session: str, reason: str) -> str:
        return reason

    async def started(self, session: str, kind: Any, path: str) -> str:
        self.calls += 1
        name = f"c{self.calls}"
        places = [ToolCallLocation(path=path)] if path else []
        start = start_tool_call(name, f"{kind} it", kind=kind, status="pending", locations=places)
        await self.client.session_update(session, start)
        return name

    async def asked(self, session: str, kind: Any, path: str) -> bool:
        name = await self.started(session, kind, path)
        answer = await self.client.request_permission(
            session_id=session, options=OPTIONS, tool_call=ToolCallUpdate(tool_call_id=name))
        chosen = getattr(answer.outcome, "option_id", "cancelled")
        note(asked=kind, path=path, chosen=chosen)
        return chosen == "once"


if __name__ == "__main__":
    given = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    asyncio.run(run_agent(Scripted(json.loads(sys.argv[1]), given)))
