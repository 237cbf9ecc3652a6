"""One lock a machine: builds share it, a measurement holds it alone.

    with lock_machine("exclusive"):    # first come, first served; builds take it "shared"
        measure()
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from lance_autoresearch.errors import MachineError

Mode = Literal["shared", "exclusive"]


class _Held(threading.local):
    """How often this thread holds the machine, by mode."""

    shared = 0
    exclusive = 0

_held = _Held()


def _find_lock_files() -> tuple[Path, Path]:
    """Turnstile and lock; in one place for all users of the machine, with any TMPDIR."""
    if override := os.environ.get("LAR_LOCK_DIR"):
        base = Path(override)
    else:
        base = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())
    return base / "lar-machine.turn", base / "lar-machine.lock"


@contextlib.contextmanager
def lock_machine(mode: Mode, *, timeout: float | None = None) -> Iterator[float]:
    """Hold the machine: `shared` to build, `exclusive` to measure. Yields seconds waited.

    First come, first served: each caller passes a turnstile first, so a waiting exclusive holder
    is not starved by newcomers that share. A thread that holds it already may take it again
    (a build inside a measurement is fine); sharing cannot be turned into exclusive.

    Raises:
        MachineError: the lock was not free within `timeout` seconds.
    """
    if _held.exclusive or (mode == "shared" and _held.shared):
        yield 0.0
        return
    if _held.shared:
        raise MachineError("the machine lock is held shared; it cannot become exclusive")
    begun = time.monotonic()
    turn_path, lock_path = _find_lock_files()
    with _open_lock_file(lock_path) as lock:
        with _open_lock_file(turn_path) as turn:
            _take_flock(turn, fcntl.LOCK_EX, begun, timeout)
            _take_flock(lock, fcntl.LOCK_SH if mode == "shared" else fcntl.LOCK_EX, begun, timeout)
        setattr(_held, mode, 1)
        try:
            yield time.monotonic() - begun
        finally:
            setattr(_held, mode, 0)


@contextlib.contextmanager
def _open_lock_file(path: Path) -> Iterator[int]:
    """A descriptor of a lock file that any user of the machine may open."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield fd
    finally:
        os.close(fd)


def _take_flock(fd: int, how: int, begun: float, timeout: float | None) -> None:
    if timeout is None:
        fcntl.flock(fd, how)
        return
    while True:
        try:
            fcntl.flock(fd, how | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() - begun >= timeout:
                raise MachineError(
                    f"the machine is busy: another lar measures or builds (waited {timeout:g} s)",
                    next="wait for it, or look at `lar status`",
                ) from None
            time.sleep(0.01)
