"""A model asked directly, without another party's program: `--agent api --model NAME`.

    report ──> model ── read / replace ──> model ── ... ── run_trial ──> Proposal

It has three tools and no shell, so it needs no sandbox: `read` gives the papers and the kernel,
`replace` changes the kernel, `run_trial` ends the turn; the verdict comes with the next one.
Names and endpoints are those of pydantic-ai: `anthropic:claude-sonnet-4-5`, `openai:gpt-5`,
`openai-chat:...` with OPENAI_BASE_URL for any server of chat completions. The key comes from
the environment and is removed from every message.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import time
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lance_autoresearch.agents import AgentFailed, Settings, Turn
from lance_autoresearch.agents.driven import Driven, TurnReport
from lance_autoresearch.agents.failures import (
    Complaint,
    FailureKind,
    merge_body,
    report_as,
)
from lance_autoresearch.agents.files import (
    FileRefused,
    is_kernel,
    list_paper_names,
    read_paper,
    write_kernel,
)
from lance_autoresearch.agents.prompt import render_contract, render_report
from lance_autoresearch.errors import UsageError
from lance_autoresearch.host.agent_sandbox import ProgramResult
from lance_autoresearch.text.plain_text import strip_text

if TYPE_CHECKING:
    from pydantic_ai import Agent
    from pydantic_ai.usage import RunUsage

EXAMPLE = "./lar loop TARGET --agent api --model anthropic:claude-sonnet-4-5 --budget-usd 5"
LINES = 400
"""Of one `read`, unless asked for more."""
TOOLS = """\
Your tools: `read` a file, `replace` a piece of the kernel, `run_trial` to end your turn. Instead
of writing the last two lines, call `run_trial` with your hypothesis and the predicted gain. You
may read:
{names}"""


class ApiAgent(Driven):
    """One conversation of a model with three tools a turn."""

    name = "api"
    sign_in = "look at --model, and at the key in the environment"
    add_credit = "add credit to the provider's account, or export a key of another one"

    def __init__(self, settings: Settings | None = None) -> None:
        """Raises UsageError: no model named or known, no key, or the library is not installed."""
        super().__init__(settings)
        if importlib.util.find_spec("pydantic_ai") is None:
            raise UsageError("the `api` extra is not installed",
                             next="make extras")
        given = self.settings
        if given.program or given.arguments:
            raise UsageError("api runs no program: it takes neither --program nor --agent-args",
                             next=EXAMPLE)
        if not given.model:
            raise UsageError("api needs the name of a model", next=EXAMPLE,
                             allowed=["--model PROVIDER:NAME, such as anthropic:NAME, openai:NAME "
                                      "or, with OPENAI_BASE_URL, openai-chat:NAME"])
        _load_model(given.model)

    def converse(self, turn: Turn, home: Path) -> tuple[ProgramResult, TurnReport]:
        """One run of the model."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on unknown prices and settings: said by us
            return asyncio.run(self._converse(turn))

    async def _converse(self, turn: Turn) -> tuple[ProgramResult, TurnReport]:
        from pydantic_ai.usage import RunUsage

        begun, usage, late = time.monotonic(), RunUsage(), False
        text, why = "", ""
        try:
            async with asyncio.timeout(60.0 * self.settings.minutes):
                text, why = await self._run(turn, usage)
        except TimeoutError:
            late = True
        except Exception as error:
            why = self._translate_error(error, usage)
        ours = report_as(FailureKind.NO_CANDIDATE, why) if why else None
        said = TurnReport(text, ours, stopped=ours is not None, tokens=usage.total_tokens,
                          cost_usd=self._compute_usd(usage))
        seconds = time.monotonic() - begun
        return ProgramResult(0, "", "", "timeout" if late else None, seconds), said

    async def _run(self, turn: Turn, usage: RunUsage) -> tuple[str, str]:
        """Its last message, and the limit that ended it."""
        from pydantic_ai.usage import UsageLimits

        agent = _build_agent(self.settings, turn)
        limits = UsageLimits(request_limit=self.settings.rounds)
        async with agent, agent.iter(render_report(turn), usage=usage, usage_limits=limits) as run:
            async for _step in run:
                if self._is_over_budget(usage, turn):
                    return "", "it used up its money"
            return (run.result.output if run.result is not None else ""), ""

    def _is_over_budget(self, usage: RunUsage, turn: Turn) -> bool:
        """Whether to stop; raises AgentFailed if that cannot be known."""
        if turn.usd_left is None or not usage.requests:
            return False
        spent = self._compute_usd(usage)
        if spent is None:
            what = f"no price is known for {self.settings.model}: --budget-usd cannot be kept"
            raise AgentFailed(what, FailureKind.UNUSABLE, tokens=usage.total_tokens,
                              next="--price IN,OUT, USD for a million tokens")
        return spent >= turn.usd_left

    def _compute_usd(self, usage: RunUsage) -> float | None:
        """By --price, else by the library's own list."""
        price = self.settings.price
        if price is not None:
            return (usage.input_tokens * price[0] + usage.output_tokens * price[1]) / 1e6
        return None if usage.cost is None else float(usage.cost)

    def _translate_error(self, error: Exception, usage: RunUsage) -> str:
        """The limit that an error of the library stands for; any other becomes AgentFailed."""
        from pydantic_ai import exceptions as known

        if isinstance(error, AgentFailed):
            raise error
        if isinstance(error, known.UsageLimitExceeded):
            return "it used up its rounds"
        if not isinstance(error, known.AgentRunError | known.UserError | ValueError | OSError):
            raise error
        said = TurnReport("", _read_complaint(error), tokens=usage.total_tokens,
                          cost_usd=self._compute_usd(usage))
        raise self.make_failure(ProgramResult(0, "", "", None, 0.0), said) from None


def _read_complaint(error: Exception) -> Complaint:
    """An error of the library: its class, the status, codes and times that it read, its words."""
    from pydantic_ai import exceptions as known

    # A quota of some providers is a limit per minute: their own code and words tell which.
    by_class = (
        (known.ModelConnectionError, FailureKind.NETWORK),
        (known.ModelRequestTimeout, FailureKind.NETWORK),
        (known.ModelRateLimitError, FailureKind.LIMIT),
        (known.ModelUnavailableError, FailureKind.OVERLOADED),
        (known.ModelServerError, FailureKind.OVERLOADED),
        (known.ModelQuotaExceededError, FailureKind.NO_CREDIT),
        (known.ModelAuthenticationError, FailureKind.SIGNED_OUT),
        (known.ModelNotFoundError, FailureKind.UNUSABLE),
        (known.UserError, FailureKind.UNUSABLE),
        (known.ContentFilterError, FailureKind.POLICY),
        (known.UnexpectedModelBehavior, FailureKind.NONSENSE),
        (OSError, FailureKind.NETWORK),
    )
    kind = next((kind for cls, kind in by_class if isinstance(error, cls)), FailureKind.UNKNOWN)
    words = _hide_keys(str(error))
    shown = strip_text(words, 300)
    if not isinstance(error, known.ModelAPIError):
        return report_as(kind, shown)  # in the library's words, not the provider's
    codes = (error.provider_error_code, error.provider_error_type)
    status = getattr(error, "status_code", None)
    complaint = Complaint(
        shown, words, tuple(code for code in codes if isinstance(code, str)), status,
        after=error.retry_after, otherwise=kind,
    )
    return merge_body(complaint, error.body)


def _load_model(name: str) -> Any:
    """The library's model of a name; raises UsageError for an unknown one, or one without a key."""
    from pydantic_ai.exceptions import UserError
    from pydantic_ai.models import infer_model

    try:
        return infer_model(name)
    except (UserError, ImportError, ValueError) as error:
        what = strip_text(_hide_keys(str(error)), 300)
        raise UsageError(what, where=f"--model {name}",
                         next="export the key that it names, or another --model") from error


def _build_agent(settings: Settings, turn: Turn) -> Agent[None, str]:
    """The model with its three tools."""
    from pydantic_ai import Agent, ToolOutput
    from pydantic_ai.settings import ModelSettings

    names = "\n".join(list_paper_names(turn))
    return Agent(
        _load_model(settings.model or ""),
        output_type=[ToolOutput(_make_trial_tool(turn), name="run_trial"), str],
        instructions=f"{render_contract(turn)}\n\n{TOOLS.format(names=names)}",
        tools=[_make_read_tool(turn), _make_replace_tool(turn)],
        retries=3,  # wrong arguments in a row
        model_settings=ModelSettings(max_retries=1, cache=True),  # the loop waits longer
    )


def _make_read_tool(turn: Turn) -> Callable[..., Coroutine[Any, Any, str]]:
    async def read(path: str = "kernel/kernels.rs", first_line: int = 1, lines: int = LINES) -> str:
        """Read a file. A name without a directory is looked for beside the kernel too."""
        name = "kernel/kernels.rs" if path == turn.kernel.name else path
        try:
            rows = read_paper(turn, name).splitlines(keepends=True)
        except FileRefused as error:
            return f"refused: {error}"
        start = max(0, first_line - 1)
        piece = "".join(rows[start : start + max(1, lines)])
        left = len(rows) - start - max(1, lines)
        return piece + (f"\n[{left} more lines]" if left > 0 else "")

    return read


def _make_replace_tool(turn: Turn) -> Callable[..., Coroutine[Any, Any, str]]:
    async def replace(old: str, new: str, path: str = "kernel/kernels.rs") -> str:
        """Replace a piece of the kernel that occurs once; with an empty `old`, the whole file."""
        if path != turn.kernel.name and not is_kernel(turn, path):
            return f"refused: only {turn.kernel.name} can be changed"
        try:
            text = read_paper(turn, str(turn.kernel))
            count = text.count(old) if old else 1
            if count != 1:
                return f"refused: `old` occurs {count} times in the kernel; it must occur once"
            write_kernel(turn, text.replace(old, new) if old else new)
        except FileRefused as error:
            return f"refused: {error}"
        return "done"

    return replace


def _make_trial_tool(turn: Turn) -> Callable[[str, float], str]:
    from pydantic_ai import ModelRetry

    def run_trial(hypothesis: str, predicted_gain: float) -> str:
        """Have the kernel built, checked and measured as it is now. Ends the turn.

        Args:
            hypothesis: what was changed and why it should be faster, in one sentence.
            predicted_gain: in percent.
        """
        if read_paper(turn, str(turn.kernel)).encode() == turn.champion:
            raise ModelRetry("the kernel is the champion's text: change it first, with `replace`")
        return f"HYPOTHESIS: {' '.join(hypothesis.split())}\nPREDICTED GAIN: {predicted_gain}"

    return run_trial


def _hide_keys(text: str) -> str:
    """Without the values of variables that hold keys."""
    for name, value in os.environ.items():
        if len(value) >= 6 and name.upper().endswith(("KEY", "TOKEN", "SECRET", "PASSWORD")):
            text = text.replace(value, "***")
    return text
