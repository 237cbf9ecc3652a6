"""How large directories are, and whether there is room: checked before the disk is full."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from lance_autoresearch.errors import MachineError, UsageError


def is_larger(directories: Iterable[Path], most: int) -> bool:
    """Whether the files below these directories hold more than `most` bytes; stops once it knows.

    Blocks count, so a sparse file is as large as what was written of it.
    """
    total = 0
    for directory in directories:
        for size in walk_sizes(directory):
            total += size
            if total > most:
                return True
    return False


def measure_use(directory: Path) -> int:
    """Bytes that the files below a directory occupy; files that vanish meanwhile count nothing."""
    return sum(walk_sizes(directory))


def walk_sizes(directory: Path) -> Iterator[int]:
    """Bytes that each file below a directory occupies; links are not followed."""
    waiting = [str(directory)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    yield _read_blocks(entry)
        except OSError:
            continue


def _read_blocks(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_blocks * 512
    except OSError:
        return 0


def find_home_limit() -> int:
    """Largest size of an agent's private home, bytes."""
    return _read_gb("LAR_AGENT_HOME_GB", 2.0)


def check_room(lar: Path) -> None:
    """Whether there is room for another turn or trial.

    Args:
        lar: the checkout's `.lar`.

    Raises:
        MachineError: its file system is almost full, or it is larger than its limit.
    """
    free, least = measure_free(lar), _read_gb("LAR_MIN_FREE_GB", 0.25)
    if free < least:
        raise MachineError(
            f"only {free / 1e6:.0f} MB are free on the file system of .lar; "
            f"{least / 1e6:.0f} MB must be (LAR_MIN_FREE_GB)",
            where=str(lar), next="./lar gc, or make room",
        )
    most = _read_gb("LAR_MAX_GB", 50.0)
    if is_larger((lar,), most):
        raise MachineError(
            f".lar has more than {most / 1e9:g} GB (LAR_MAX_GB)", where=str(lar),
            next=f"./lar gc --max-gb {most / 1e9:g}, or a higher limit",
        )


def measure_free(directory: Path) -> int:
    """Bytes that this user may still write on the file system of a directory."""
    about = os.statvfs(directory)
    return about.f_bavail * about.f_frsize


def is_room_left(directory: Path) -> bool:
    """Whether the file system of a directory has the room that `check_room` wants."""
    return measure_free(directory) >= _read_gb("LAR_MIN_FREE_GB", 0.25)


def _read_gb(name: str, default: float) -> int:
    """A limit in GB (1e9 bytes) from the environment, in bytes.

    Raises:
        UsageError: not a number above 0.
    """
    text = os.environ.get(name)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1e9:
        raise UsageError(f"{name}={text} is no size in GB", allowed=["a number above 0"])
    return int(value * 1e9)
