"""Any program that speaks the Agent Client Protocol: `--agent 'acp:gemini --acp'`.

    initialize -> session/new -> session/prompt ... -> its stop reason; then the program is ended

One session a turn, in the agent's sandbox. The protocol lets us answer the agent's requests
(`acp_client`), cancel its turn, and read its cost: `usage_update` names money if an agent
knows it, the prompt's answer names tokens, which `--price IN,OUT` turns into money. The protocol
has no bound on model calls; the loop counts tool calls instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lance_autoresearch.agents import AgentFailed, Settings, Turn
from lance_autoresearch.agents.acp_client import LONGEST_MESSAGE, Client, Messages
from lance_autoresearch.agents.command import CommandAgent
from lance_autoresearch.agents.driven import TurnReport, list_papers
from lance_autoresearch.agents.failures import Complaint, FailureKind, merge_body, report_as
from lance_autoresearch.errors import UsageError
from lance_autoresearch.host.agent_sandbox import ProgramResult, start_conversation
from lance_autoresearch.text.plain_text import strip_text

if TYPE_CHECKING:
    import acp
    from acp.client.connection import ClientSideConnection
    from acp.schema import InitializeResponse, NewSessionResponse, PromptResponse

GRACE_S = 5.0
"""How long a cancelled turn may take to end."""
SIGNED_OUT = -32000
"""The protocol's error code for a session that needs signing in."""
STOPS = {
    "max_tokens": "it used up its tokens",
    "max_turn_requests": "it used up its rounds",
    "cancelled": "it was cancelled",
}
SIGN_INS = {
    "gemini": (".gemini/oauth_creds.json", ".gemini/google_accounts.json",
               ".gemini/settings.json"),
    "opencode": (".local/share/opencode/auth.json",),
    "cursor-agent": (".config/cursor/auth.json",),
}
"""Where some programs keep their credentials."""


class AcpAgent(CommandAgent):
    """A program and its arguments that speak version 1 of the protocol."""

    prefix = "acp:"

    def __init__(self, line: str, settings: Settings | None = None) -> None:
        """Raises UsageError: no such program, or the protocol's library is not installed."""
        if importlib.util.find_spec("acp") is None:
            raise UsageError("the `acp` extra is not installed",
                             next="make extras")
        super().__init__(line, settings)
        known = Path(self.usual).name
        self.keeps = SIGN_INS.get(known, ())
        self.sign_in = f"{known}: sign in with the program itself, or export the key it reads"

    def build_environment(self, turn: Turn, home: Path) -> dict[str, str]:
        """The person's own environment, without the places of their files: its home is another."""
        theirs = super().build_environment(turn, home)
        return {name: value for name, value in theirs.items() if not name.startswith("XDG_")}

    def converse(self, turn: Turn, home: Path) -> tuple[ProgramResult, TurnReport]:
        """One session with one prompt."""
        with _silence_library_log():
            return asyncio.run(self._converse(turn, home))

    async def _converse(self, turn: Turn, home: Path) -> tuple[ProgramResult, TurnReport]:
        from acp import connect_to_agent

        client = Client(turn, self.settings.rounds)
        begun = time.monotonic()
        answer: PromptResponse | None = None
        error: Complaint | None = None
        async with start_conversation(self.build_run(turn, home), LONGEST_MESSAGE) as spoken:
            messages = Messages(spoken.process)
            connection = connect_to_agent(cast("acp.Client", client), messages)
            try:
                async with asyncio.timeout(60.0 * self.settings.minutes + 2 * GRACE_S):
                    answer = await self._run_session(connection, client, turn, begun)
            except TimeoutError:
                pass
            except ConnectionError:
                error = await _describe_broken_connection(spoken.process, messages)
            finally:
                await connection.close()
        seconds = time.monotonic() - begun
        stopped = answer is None or answer.stop_reason == "cancelled"
        late = stopped and not client.why and seconds >= 60.0 * self.settings.minutes
        if late or client.why:
            error = None  # it ended at our request
        elif error is not None:
            last = strip_text(spoken.stderr[-300:], 200)
            error = replace(error, shown=f"{error.shown}: {last}".rstrip(": "), text=last)
        ended = ProgramResult(0, "", spoken.stderr, "timeout" if late else None, seconds)
        return ended, self._build_report(client, answer, error)

    async def _run_session(
        self, connection: ClientSideConnection, client: Client, turn: Turn, begun: float
    ) -> PromptResponse | None:
        """The agent's answer to the prompt; None if it was cancelled and gave none.

        Raises:
            AgentFailed: it answered with an error, or with something else than the protocol.
            ConnectionError: the program ended.
        """
        from acp import RequestError, text_block
        from pydantic import ValidationError

        try:
            session = await self._begin_session(connection, turn)
            prompt = asyncio.ensure_future(connection.prompt(
                session_id=session.session_id, prompt=[text_block(self.build_input(turn))]))
            over = asyncio.ensure_future(client.over.wait())
            left = 60.0 * self.settings.minutes - (time.monotonic() - begun)
            try:
                both = {prompt, over}
                await asyncio.wait(both, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if not prompt.done():
                    await connection.cancel(session_id=session.session_id)
                    await asyncio.wait({prompt}, timeout=GRACE_S)
                return await prompt if prompt.done() else None
            finally:
                over.cancel()
                prompt.cancel()
        except RequestError as error:
            raise self._make_failure(error, client) from error
        except ValidationError as error:
            what = f"answered with nonsense: {error.title} {error.errors()[0]['msg']}"
            raise AgentFailed(strip_text(what, 300), FailureKind.NONSENSE,
                              cost_usd=client.cost_usd) from error

    async def _begin_session(
        self, connection: ClientSideConnection, turn: Turn
    ) -> NewSessionResponse:
        """A session in the target's directory, signed in if a variable can do it."""
        from acp import PROTOCOL_VERSION, RequestError
        from acp.schema import ClientCapabilities, FileSystemCapabilities, Implementation

        offered = ClientCapabilities(
            fs=FileSystemCapabilities(read_text_file=True, write_text_file=True), terminal=False)
        hello = await connection.initialize(
            protocol_version=PROTOCOL_VERSION, client_capabilities=offered,
            client_info=Implementation(name="lance-autoresearch", version="0.1.0"))
        if hello.protocol_version != PROTOCOL_VERSION:
            what = f"speaks version {hello.protocol_version} of the protocol, not"
            raise AgentFailed(f"{what} {PROTOCOL_VERSION}", FailureKind.UNUSABLE)
        where: dict[str, Any] = {"cwd": str(turn.kernel.parent.parent), "mcp_servers": []}
        sessions = hello.agent_capabilities and hello.agent_capabilities.session_capabilities
        if sessions and sessions.additional_directories is not None:
            where["additional_directories"] = [str(path) for path in list_papers(turn)[1:]]
        try:
            session = await connection.new_session(**where)
        except RequestError as error:
            method = _find_login_method(hello) if error.code == SIGNED_OUT else None
            if method is None:
                raise
            await connection.authenticate(method_id=method)
            session = await connection.new_session(**where)
        if self.settings.model:
            await _select_model(connection, session, self.settings.model)
        return session

    def _build_report(
        self, client: Client, answer: PromptResponse | None, error: Complaint | None
    ) -> TurnReport:
        tokens, cost = None, client.cost_usd
        if answer is not None and answer.usage is not None:
            tokens, price = answer.usage.total_tokens, self.settings.price
            if cost is None and price is not None:
                into, out = answer.usage.input_tokens, answer.usage.output_tokens
                cost = (into * price[0] + out * price[1]) / 1e6
        stop = answer.stop_reason if answer is not None else ""
        if stop == "refusal":
            error = report_as(FailureKind.POLICY, "its model refused to go on")
        why = client.why or STOPS.get(stop, "")
        ours = report_as(FailureKind.NO_CANDIDATE, why) if why else None
        return TurnReport(client.text, error or ours, stopped=bool(why) and error is None,
                          tokens=tokens, cost_usd=cost, refused=tuple(client.refused))

    def _make_failure(self, error: Any, client: Client) -> AgentFailed:
        """An error that the agent answered with: its code, its data's fields, its words.

        A code from 100 to 599 is an HTTP status: so Gemini passes on its server's.
        """
        data = error.data if isinstance(error.data, dict) else {"details": error.data}
        more = data.get("details") or data.get("message") or ""
        text = f"{error} {more if str(more) != str(error) else ''}".strip()
        signed_out = error.code == SIGNED_OUT
        shown = f"authentication required: {text}" if (
            signed_out and "auth" not in text.lower()) else text
        complaint = Complaint(
            strip_text(shown, 300), text, ("authentication_error",) if signed_out else (),
            error.code if 100 <= error.code < 600 else None,
        )
        said = TurnReport(client.text, merge_body(complaint, error.data), cost_usd=client.cost_usd)
        return self.make_failure(ProgramResult(0, "", "", None, 0.0), said)


async def _describe_broken_connection(
    process: asyncio.subprocess.Process, messages: Messages
) -> Complaint:
    """It ended, or said something that is no message of the protocol."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 2.0)
    status = process.returncode
    what = "broke the conversation off" if status is None else (
        f"ended in mid-turn with exit status {status}")
    kind = FailureKind.NONSENSE if messages.nonsense else FailureKind.CRASHED
    return report_as(kind, f"{what}, after {messages.nonsense!r}" if messages.nonsense else what)


def _find_login_method(hello: InitializeResponse) -> str | None:
    """A way to sign in that needs no person: its variables are set, or it is named as one is."""
    for method in hello.auth_methods or ():
        needed = [v.name for v in getattr(method, "vars", None) or () if not v.optional]
        named = method.id.upper().replace("-", "_")  # such as gemini-api-key
        if (needed and all(name in os.environ for name in needed)) or named in os.environ:
            return str(method.id)
    return None


async def _select_model(
    connection: ClientSideConnection, session: NewSessionResponse, model: str
) -> None:
    """Set the session's model.

    Raises:
        AgentFailed: the agent offers no choice, or not this one.
    """
    for option in session.config_options or ():
        if option.type == "select" and "model" in (option.category, option.id):
            break
    else:
        what = "offers no choice of models: name it in the program's own arguments"
        raise AgentFailed(what, FailureKind.UNUSABLE)
    values = [row for entry in option.options for row in getattr(entry, "options", [entry])]
    for row in values:
        if model in (row.value, row.name):
            await connection.set_config_option(option.id, session.session_id, row.value)
            return
    names = ", ".join(strip_text(row.value, 60) for row in values[:20])
    raise AgentFailed(f"has no model '{model}'; it has: {names}", FailureKind.UNUSABLE)


@contextlib.contextmanager
def _silence_library_log() -> Iterator[None]:
    """The library logs an agent's mistakes, with tracebacks, to the root logger."""
    root, deaf = logging.getLogger(), logging.NullHandler()
    root.addHandler(deaf)
    try:
        yield
    finally:
        root.removeHandler(deaf)
