"""What rustc needs to run in the sandbox, and which of its words may be shown.

    text, line = extract_compiler_message(done)  # first error only, at most 2 KiB, no control bytes

A compiler's message quotes the kernel, so it is untrusted text: an agent reads it, a terminal
shows it. It is cut and stripped here, in one place.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.host.sandbox import SandboxResult
from lance_autoresearch.host.toolchain import Toolchain
from lance_autoresearch.text.plain_text import ESCAPES, HIDDEN, UNSAFE

MAX_MESSAGE = 2048
"""Bytes of rustc's text that reach a verdict."""

LOOKED_AT = 64 << 10
"""Characters of it that are searched for an error."""


def build_loader_environment(tools: Toolchain) -> dict[str, str]:
    """Environment that finds rustc's libraries: the sandbox has no /proc to resolve $ORIGIN."""
    return {"LD_LIBRARY_PATH": str(Path(tools.sysroot, "lib"))}


def reject_failed_step(done: SandboxResult, what: str) -> None:
    """Raise RejectedKernel if a step on a kernel failed in the sandbox."""
    if done.code == 0:
        return
    if done.killed:
        raise RejectedKernel(f"the compiler was stopped: {done.killed}", where="kernels.rs")
    text, line = extract_compiler_message(done)
    where = f"kernels.rs:{line}" if line else "kernels.rs"
    raise RejectedKernel(f"{what}: {text}", where=where)


def extract_compiler_message(done: SandboxResult) -> tuple[str, int | None]:
    """rustc's first error, bounded and stripped, and its line in kernels.rs."""
    text = done.stderr.decode("utf-8", errors="replace")
    begin = re.search(r"^error", text, re.M)
    text = text[begin.start() :] if begin else text
    end = text.find("\n\n")
    text = text[: end if end > 0 else None]
    line = re.search(r"kernels\.rs:(\d{1,7}):\d", text)
    text = _strip_lines(text[:LOOKED_AT]).encode()[:MAX_MESSAGE].decode(errors="ignore").strip()
    if not text:
        text = f"the compiler ended with status {done.code} and said nothing"
    return text, int(line[1]) if line else None


def _strip_lines(text: str) -> str:
    """As `plain_text.strip_text`, but lines and columns stay: carets point at what they mean."""
    kept = HIDDEN.sub("", ESCAPES.sub("", text))
    return "".join(
        c if c in "\n\t" else " " if c.isspace() else c
        for c in kept if c in "\n\t" or c.isspace() or unicodedata.category(c) not in UNSAFE
    )
