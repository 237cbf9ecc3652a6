"""One line of live progress: redrawn on a terminal, plain lines elsewhere.

    with Live() as live:
        live.show("build")
        live.show("pair 5  gain +1.20%  e=3.1 (need 4e+03)")
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Self


class Notice(str):
    """Progress that is worth a line of its own if lines cannot be redrawn."""


class Live:
    """Shows what runs now on stderr, so that stdout stays for results."""

    def __init__(self, *, enabled: bool = True, prefix: str = "") -> None:
        self._on = enabled
        self._tty = sys.stderr.isatty()
        self._prefix = prefix
        self._since = time.monotonic()
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *why: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Remove the line before other output is printed."""
        if self._on and self._tty:
            with contextlib.suppress(OSError):  # the terminal is gone
                print("\r\x1b[2K", end="", file=sys.stderr, flush=True)

    def show(self, text: str) -> None:
        """Replace the line. Elsewhere than on a terminal only what is worth a line."""
        if not self._on:
            return
        if self._tty:
            seconds = time.monotonic() - self._since
            line = f"{self._prefix}{seconds:5.1f} s  {text}"[:100]
            print(f"\r\x1b[2K{line}", end="", file=sys.stderr, flush=True)
        elif text != self._last and isinstance(text, Notice):
            self._last = text
            print(f"{self._prefix}{text}", file=sys.stderr, flush=True)
