"""Limits of this process's control group, version 1 and 2, for CPU time and memory.

    read_cpu_quota(system)     cores that may be used, such as 0.5; None: no limit
    read_free_memory(system)   bytes up to the nearest limit; None: no limit

A group is limited by each group above it, so all of them are read, up to what is mounted here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

UNLIMITED = 1 << 60
"""Version 1 has no word for "no limit"; it shows the largest multiple of a page."""


def read_cpu_quota(system: Path) -> float | None:
    """Cores' worth of time a second that the group may use.

    Args:
        system: where `proc/` and `sys/` are read.
    """
    found = []
    for group in _list_groups(system, "cpu"):
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = _read_cpu(group)
            if quota > 0:
                found.append(quota / period)
    return min(found, default=None)


def _read_cpu(group: Path) -> tuple[float, float]:
    if (group / "cpu.max").exists():
        quota, period = (group / "cpu.max").read_text().split()
        return (-1.0 if quota == "max" else float(quota)), float(period)
    quota = (group / "cpu.cfs_quota_us").read_text()
    return float(quota), float((group / "cpu.cfs_period_us").read_text())


def read_free_memory(system: Path) -> int | None:
    """Bytes that the group may still use."""
    names = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
    found = []
    for group in _list_groups(system, "memory"):
        for limit, used in names:
            with contextlib.suppress(OSError, ValueError):
                most = int((group / limit).read_text())
                if most < UNLIMITED:
                    found.append(most - int((group / used).read_text()))
    return min(found, default=None)


def _list_groups(system: Path, controller: str) -> Iterator[Path]:
    """This process's group and those above it, in both versions."""
    try:
        lines = (system / "proc" / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    top = system / "sys" / "fs" / "cgroup"
    for line in lines:
        number, names, path = line.split(":", 2)
        if number == "0" and not names:
            mounts = [top, top / "unified"]
        elif controller in names.split(","):
            mounts = [top / names, top / controller]
        else:
            continue
        parts = Path(path.lstrip("/")).parts
        for mount in mounts:
            for depth in range(len(parts), -1, -1):
                group = mount.joinpath(*parts[:depth])
                if group.is_dir():
                    yield group
