"""How fast this machine works right now: budgets of CPU time are given in multiples of it.

A busy neighbour, a lower clock or a shared core slows a program and a fixed piece of work of the
same kind alike, so a budget in such pieces means the same on a busy machine as on a quiet one.

    least_ratio(lambda: own_seconds(work), pace_seconds)                  # work in this process
    least_ratio(lambda: child_seconds([LAR, "--help"]), start_seconds)    # a program's start
"""

from __future__ import annotations

import html
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

WORDS = 120_000
"""Makes one pace about 0.1 s of CPU time on a processor of 2020."""
START = (
    "import asyncio, concurrent.futures, email.parser, http.server, multiprocessing, "
    "unittest.mock, urllib.request, xml.dom.minidom"
)
"""A start of Python that takes about 0.13 s of CPU time there."""
TRIES = 5


def pace_seconds() -> float:
    """CPU seconds of a fixed piece of work in pure Python: strings, a list, a sort."""
    begun = time.process_time()
    words = [html.escape(f"<b>{number & 1023}</b>") for number in range(WORDS)]
    hash("".join(sorted(words)))
    return time.process_time() - begun


def own_seconds(work: Callable[[], object]) -> float:
    """CPU seconds that this process spends on a call."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def child_seconds(command: Sequence[str | Path], cwd: Path | None = None) -> float:
    """CPU seconds of a program and its children. Raises CalledProcessError if it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=cwd, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def start_seconds() -> float:
    """CPU seconds of starting Python and loading a fixed list of its own modules."""
    return child_seconds([sys.executable, "-c", START])


def least_ratio(
    seconds: Callable[[], float], unit: Callable[[], float], tries: int = TRIES
) -> float:
    """The least of several measurements, divided by the least of the units taken between them."""
    pairs = [(seconds(), unit()) for _ in range(tries)]
    spent, units = zip(*pairs, strict=True)
    return min(spent) / min(units)
