"""One lock a machine: builds share it, a measurement holds it alone.

    with lock_machine("exclusive"):    # first come, first served; builds take it "shared"
        measure()
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from lance_autoresearch.errors import MachineError
from lance_autoresearch.host.lock_files import BusyLock, Mode, hold_lock_file, take_lock


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
        MachineError: the lock was not free within `timeout` seconds, or something else lies
            where a lock file belongs.
    """
    if _held.exclusive or (mode == "shared" and _held.shared):
        yield 0.0
        return
    if _held.shared:
        raise MachineError("the machine lock is held shared; it cannot become exclusive")
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        _take_all(stack, mode, begun, timeout)
        setattr(_held, mode, 1)
        try:
            yield time.monotonic() - begun
        finally:
            setattr(_held, mode, 0)


def _take_all(
    stack: contextlib.ExitStack, mode: Mode, begun: float, timeout: float | None
) -> None:
    """Turnstile, lock file, and the directory of both; the turnstile is passed on at once."""
    turn, lock = _find_lock_files()

    def compute_rest() -> float | None:
        return None if timeout is None else max(0.0, begun + timeout - time.monotonic())

    try:
        with hold_lock_file(turn, "exclusive", wait_s=compute_rest()):
            stack.enter_context(hold_lock_file(lock, mode, wait_s=compute_rest()))
            stack.enter_context(_hold_directory(lock.parent, mode, compute_rest()))
    except BusyLock as error:
        raise MachineError(
            f"the machine is busy: another lar measures or builds (waited {timeout:g} s)",
            where=error.where,
            next="wait for it, or look at `lar status`",
        ) from None


@contextlib.contextmanager
def _hold_directory(place: Path, mode: Mode, wait_s: float | None) -> Iterator[None]:
    """Hold the directory too: a lock file that is removed while it is held lets no one in.

    Some network file systems lock no directory; there the file has to do.
    """
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        with contextlib.suppress(OSError):
            until = None if wait_s is None else time.monotonic() + wait_s
            take_lock(descriptor, mode, until, place)
        yield
    finally:
        os.close(descriptor)
