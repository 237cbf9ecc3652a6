"""Seconds of CPU that several process trees share, so that a bomb is paid once.

    budget = CpuBudget(20.0)
    run_sandboxed(argv, ..., budget=budget)     # ended once all runs together used 20 s
    budget.cancel()                             # ends the others: one has failed
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


class CpuBudget:
    """A limit in seconds; safe to use from several threads."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.cancelled = False
        self._used: dict[int, float] = {}
        self._settled = 0.0
        self._lock = threading.Lock()

    def is_used_up(self, pid: int) -> bool:
        """Look at the tree below `pid`; whether all trees together have used the budget."""
        cpu = measure_tree_cpu(pid)
        with self._lock:
            self._used[pid] = max(cpu, self._used.get(pid, 0.0))
            return self._settled + sum(self._used.values()) >= self.seconds

    def settle(self, pid: int, cpu: float) -> None:
        """A tree has ended, having used at least `cpu` seconds."""
        with self._lock:
            self._settled += max(cpu, self._used.pop(pid, 0.0))

    @property
    def spent(self) -> float:
        """Seconds used so far, as far as known."""
        with self._lock:
            return self._settled + sum(self._used.values())

    def cancel(self) -> None:
        """End all runs that share the budget."""
        self.cancelled = True


def measure_tree_cpu(pid: int) -> float:
    """Seconds of CPU of a process, its living descendants and those that it waited for."""
    total, waiting = 0.0, [pid]
    while waiting:
        here = Path("/proc") / str(waiting.pop())
        try:
            fields = (here / "stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15])) * _TICK_S
            for task in (here / "task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:
            continue  # it has ended
    return total
