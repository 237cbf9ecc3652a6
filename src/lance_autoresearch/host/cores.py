"""Which core measures and which one conducts: topology from /sys, below a root that can be set.

    choose_cores(system, allowed)   -> Cores(measuring=7, conducting=0, ...)
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cores:
    """The two cores of a measurement."""

    measuring: int
    conducting: int
    sibling: int | None
    """Another hardware thread of the measuring core that is online; None: it is alone."""
    slow: bool
    """Only efficiency cores may be used, on a machine that has faster ones."""


def choose_cores(system: Path, allowed: Sequence[int]) -> Cores:
    """A performance core to measure on, and another core, not its sibling, to conduct from.

    Args:
        system: where `sys/` is read.
        allowed: cores this process may run on, ascending, at least one.
    """
    fast = _list_fast_cores(system)
    best = [core for core in allowed if fast is None or core in fast] or list(allowed)
    measuring = best[-1]
    siblings = [core for core in _read_siblings(system, measuring) if core != measuring]
    others = [core for core in allowed if core != measuring]
    apart = [core for core in others if core not in siblings] or others or [measuring]
    return Cores(
        measuring, apart[0], siblings[0] if siblings else None,
        slow=fast is not None and measuring not in fast,
    )


def leave_core(core: int) -> None:
    """Keep the calling thread, and the programs it starts, off a core, if there is another one."""
    with contextlib.suppress(AttributeError, OSError):  # another system; a core that is gone
        others = os.sched_getaffinity(0) - {core}
        if others:
            os.sched_setaffinity(0, others)


def _list_fast_cores(system: Path) -> set[int] | None:
    """Performance cores; None if all are alike, or if the system does not say."""
    devices = system / "sys" / "devices"
    with contextlib.suppress(OSError, ValueError):
        return set(parse_cores((devices / "cpu_core" / "cpus").read_text()))
    capacities = {}
    for path in (devices / "system" / "cpu").glob("cpu[0-9]*/cpu_capacity"):
        with contextlib.suppress(OSError, ValueError):
            capacities[int(path.parent.name[3:])] = int(path.read_text())
    if len(set(capacities.values())) < 2:
        return None
    return {core for core, value in capacities.items() if value == max(capacities.values())}


def _read_siblings(system: Path, core: int) -> list[int]:
    topology = system / "sys" / "devices" / "system" / "cpu" / f"cpu{core}" / "topology"
    for name in ("thread_siblings_list", "core_cpus_list"):
        with contextlib.suppress(OSError, ValueError):
            return parse_cores((topology / name).read_text())
    return []


def parse_cores(text: str) -> list[int]:
    """`0-3,8` as the kernel writes it -> [0, 1, 2, 3, 8]."""
    found: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found
