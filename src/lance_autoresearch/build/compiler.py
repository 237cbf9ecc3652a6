"""What rustc needs to run in the sandbox, why a run failed, and which of its words may be shown.

    check_step(done, "does not compile", budget)     # RejectedKernel, MachineError or FailedStep
    message, line = extract_compiler_message(done)   # first error, at most 2 KiB, no control bytes

A compiler's message quotes the kernel, so it is untrusted text: an agent reads it, a terminal
shows it. It is cut, stripped and marked here, in one place. Who is to blame is decided by what
rustc says as data: an error with a place in the source is the text's. For an end without one the
builder compiles Lance's own kernel in the same way, and blames the machine if that fails too.
"""

from __future__ import annotations

import json
import re
import signal
import unicodedata
from pathlib import Path
from typing import Any

from lance_autoresearch.errors import MachineError, RejectedKernel
from lance_autoresearch.host.cpu_budget import CpuBudget
from lance_autoresearch.host.sandbox import SandboxResult, StopCause
from lance_autoresearch.host.toolchain import Toolchain
from lance_autoresearch.rules.policy import BUILD_LIMITS
from lance_autoresearch.text.plain_text import ESCAPES, HIDDEN, UNSAFE

MAX_MESSAGE = 2048
"""Bytes of rustc's text that reach a verdict."""

LOOKED_AT = 64 << 10
"""Characters of it that are searched for an error."""

AS_DATA = "--error-format=json"
"""rustc's flag: one diagnostic a line, with its places and the text for people."""

_FROM_OUTSIDE = frozenset(
    {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}
)
"""Signals that no compiler gets from the text it compiles, if we did not send them."""


class FailedStep(Exception):
    """A step failed and nothing says why: the text or the machine may be to blame."""

    def __init__(self, done: SandboxResult, what: str) -> None:
        super().__init__(what)
        self.done, self.what = done, what


class CancelledStep(Exception):
    """We ended a step since another one of the same build had failed."""


def build_loader_environment(tools: Toolchain) -> dict[str, str]:
    """Environment that finds rustc's libraries: the sandbox has no /proc to resolve $ORIGIN."""
    return {"LD_LIBRARY_PATH": str(Path(tools.sysroot, "lib"))}


def check_step(done: SandboxResult, what: str, budget: CpuBudget | None = None) -> None:
    """Return if a step on a kernel succeeded.

    Raises:
        RejectedKernel: the text is to blame: it does not compile, or needs too much.
        MachineError: something outside ended it.
        CancelledStep: see there.
        FailedStep: it cannot be seen from this run.
    """
    if done.code == 0 and done.killed is None:
        return
    if done.killed is StopCause.CANCELLED:
        raise CancelledStep
    if done.killed is StopCause.TIMEOUT:
        raise MachineError(
            f"a compiler did not end within {done.seconds:.0f} s, in which it got "
            f"{done.cpu_seconds:.1f} s of CPU",
            where="build",
            next="run it again when the machine is less busy",
        )
    if done.killed is StopCause.CPU or done.signal == signal.SIGXCPU:
        seconds = BUILD_LIMITS.cpu_seconds if budget is None else budget.seconds
        raise RejectedKernel(
            f"its build was stopped after {seconds:g} s of CPU",
            where="kernels.rs",
            allowed=[f"at most {seconds:g} s of CPU for compiling and linking, in all"],
        )
    if done.signal == signal.SIGXFSZ:
        size = BUILD_LIMITS.file_bytes >> 20
        raise RejectedKernel(
            f"what is built from it is larger than {size} MiB",
            where="kernels.rs",
            allowed=[f"tables and code of at most {size} MiB"],
        )
    if done.signal in _FROM_OUTSIDE:
        raise MachineError(
            f"a compiler was ended by signal {done.signal} from outside: memory may be short",
            where="build",
            next="dmesg, or run it again",
        )
    if not _has_place(done):
        raise FailedStep(done, what)
    text, line = extract_compiler_message(done)
    where = f"kernels.rs:{line}" if line else "kernels.rs"
    raise RejectedKernel(f'{what}: untrusted: "{text}"', where=where)


def describe_failed_step(failed: FailedStep) -> RejectedKernel:
    """Why the text is to blame for a step that failed without a place in it."""
    done = failed.done
    if done.signal == signal.SIGSEGV:
        return RejectedKernel(
            "the compiler's stack is too small for this kernel: its code nests too deeply",
            where="kernels.rs",
            allowed=["shorter chains of operators, calls and blocks: split them into functions"],
        )
    if done.signal == signal.SIGABRT:
        size = BUILD_LIMITS.memory_bytes >> 30
        return RejectedKernel(
            f"the compiler gave up on this kernel: it may need more than {size} GiB of memory",
            where="kernels.rs",
            allowed=[f"at most {size} GiB of address space for the compiler"],
        )
    text, _ = extract_compiler_message(done)
    return RejectedKernel(f'{failed.what}: untrusted: "{text}"', where="kernels.rs")


def reject_failed_step(done: SandboxResult, what: str) -> None:
    """As `check_step`, for a text that was built before: what nothing explains is the text's."""
    try:
        check_step(done, what)
    except FailedStep as failed:
        raise describe_failed_step(failed) from failed


def extract_compiler_message(done: SandboxResult) -> tuple[str, int | None]:
    """rustc's first error, bounded and stripped, and its line in kernels.rs."""
    text, line = _read_first_error(done)
    text = _strip_lines(text[:LOOKED_AT]).encode()[:MAX_MESSAGE].decode(errors="ignore").strip()
    if not text:
        text = f"the compiler ended with status {done.code} and said nothing"
    return text, line


def _read_first_error(done: SandboxResult) -> tuple[str, int | None]:
    """(text for people, line in kernels.rs) of the first error with a place, or of any text."""
    errors = [row for row in _read_diagnostics(done) if row.get("level") == "error"]
    first = next((row for row in errors if row.get("spans")), next(iter(errors), None))
    if first is not None:
        lines = [s.get("line_start") for s in first.get("spans", ())
                 if s.get("file_name") == "kernels.rs"]
        line = next((int(n) for n in lines if isinstance(n, int)), None)
        return str(first.get("rendered") or first.get("message") or ""), line
    text = done.stderr.decode("utf-8", errors="replace")
    begin = re.search(r"^error", text, re.M)
    text = text[begin.start() :] if begin else text
    end = text.find("\n\n")
    line_found = re.search(r"kernels\.rs:(\d{1,7}):\d", text[: end if end > 0 else None])
    return text[: end if end > 0 else None], int(line_found[1]) if line_found else None


def _has_place(done: SandboxResult) -> bool:
    """Whether rustc named a place in the source: the text is at fault."""
    rows = _read_diagnostics(done)
    return any(row.get("level") == "error" and row.get("spans") for row in rows)


def _read_diagnostics(done: SandboxResult) -> list[dict[str, Any]]:
    found = []
    for line in done.stderr.decode("utf-8", errors="replace").splitlines():
        if line.startswith("{"):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict):
                found.append(row)
    return found


def _strip_lines(text: str) -> str:
    """As `plain_text.strip_text`, but lines and columns stay: carets point at what they mean."""
    kept = HIDDEN.sub("", ESCAPES.sub("", text))
    return "".join(
        c if c in "\n\t" else " " if c.isspace() else c
        for c in kept if c in "\n\t" or c.isspace() or unicodedata.category(c) not in UNSAFE
    )
