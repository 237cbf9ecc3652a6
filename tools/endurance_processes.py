"""Processes as /proc shows them: a family, those that belong to a checkout, their memory."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """One living process."""

    pid: int
    parent: int
    command: str
    begun: str
    """Ticks since boot: with the number it names a process for good."""


def everyone() -> Iterator[Process]:
    """All living processes but zombies."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
        except (OSError, IndexError):
            continue
        if fields[0] != "Z":
            yield Process(int(entry.name), int(fields[1]), command.decode("utf-8", "replace"),
                          fields[19])


def below(pid: int) -> list[Process]:
    """All descendants of a process."""
    alive = list(everyone())
    found: list[Process] = []
    fresh = {pid}
    while fresh:
        children = [p for p in alive if p.parent in fresh]
        found += children
        fresh = {p.pid for p in children}
    return found


def kill(victim: Process) -> bool:
    """SIGKILL to exactly this process; False if it has gone."""
    if victim not in everyone():
        return False
    try:
        os.kill(victim.pid, signal.SIGKILL)
    except OSError:
        return False
    return True


def of_place(place: Path, patience: float = 10.0) -> list[Process]:
    """Processes that still have to do with a directory after some patience, except ourselves."""
    until = time.monotonic() + patience
    while True:
        found = [p for p in everyone() if p.pid != os.getpid() and _belongs(p, str(place))]
        if not found or time.monotonic() >= until:
            return found
        time.sleep(0.2)


def _belongs(process: Process, place: str) -> bool:
    for link in ("exe", "cwd"):
        try:
            if str(Path(f"/proc/{process.pid}/{link}").readlink()).startswith(place):
                return True
        except OSError:
            continue
    return place in process.command and "endurance.py" not in process.command


def rss_kib(pid: int) -> int:
    """Resident memory of a process, 0 if it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
