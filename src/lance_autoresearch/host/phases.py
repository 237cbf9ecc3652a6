"""Seconds per phase of a trial, and one live line that says which phase runs.

    phases = Phases(show=print)
    with phases("build"):
        ...
    phases.seconds            # {"build": 0.21}
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lance_autoresearch.host.live import Notice


class Phases:
    """A stopwatch with named laps; entering a name twice adds up.

    A phase inside another one counts for itself alone: the outer one is shorter by it.
    """

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self._show = show or (lambda _: None)
        self._open: list[str] = []
        self._cpu = time.process_time()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time the body under a name and announce it."""
        self._show(name)
        start = time.perf_counter()
        self._open.append(name)
        try:
            yield
        finally:
            self._open.pop()
            elapsed = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + elapsed
            if self._open:
                outer = self._open[-1]
                self.seconds[outer] = self.seconds.get(outer, 0.0) - elapsed

    def add(self, name: str, seconds: float) -> None:
        """Count time that passed inside another phase."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def say(self, text: str) -> None:
        """Show a message in a line of its own."""
        self._show(Notice(text))

    def update(self, text: str) -> None:
        """Progress inside a phase, replaced by the next."""
        self._show(text)

    def sum_seconds(self) -> dict[str, float]:
        """Seconds per phase, rounded to 0.1 ms, with Python's own CPU time as `python_cpu`."""
        laps = {name: round(value, 4) for name, value in self.seconds.items()}
        laps["python_cpu"] = round(time.process_time() - self._cpu, 4)
        return laps
