"""Full draws made ahead: a stock in the epoch's directory, filled at low priority.

    stock = Stock(epoch.directory)
    stock.start_maker(root, target, key)     a process of its own fills the stock and ends
    stock.take(place)                        the seed of one ready draw, moved to `place`; or None

    <epoch>/stock/maker.lock      held by the process that fills the stock, as long as it lives
    <epoch>/stock/half-...        what it makes now; left over by a killed one, it is removed
    <epoch>/stock/ready-...       a whole draw: taken by one rename, hence by one confirmation

The maker holds a lease on the epoch, and the machine's lock (shared) while it computes one step,
so that no pair is measured beside it. It holds the lock of the stock by an open file: if it is
killed, the next maker removes what it left. The stock is removed with its epoch.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lance_autoresearch.rules.policy import DRAWS

NICE = 19
CPU_SECONDS = 300
"""CPU time that a maker may use: it ends in any case."""
AHEAD = "LAR_AHEAD"
"""Environment: `0` makes no draws ahead; each confirmation makes its own."""
SEED = "seed"
STEP_S = 0.05

TRIES = 5
"""A look whether the lock is held holds it for an instant: the maker asks again."""

_started: list[subprocess.Popen[bytes]] = []
"""Makers of this process; they may outlive it."""

Make = Callable[[Path], int]
"""Writes a draw with Lance's outputs into a directory that does not exist; returns its seed."""


class Stock:
    """The ready draws of one epoch."""

    def __init__(self, epoch: Path) -> None:
        self._epoch = epoch
        self._folder = epoch / "stock"

    def count_ready(self) -> int:
        """Number of whole draws."""
        return len(self._list_ready())

    def take(self, place: Path) -> int | None:
        """Move one ready draw to `place` and return its seed; None: there is none.

        Args:
            place: on the same file system; does not exist.
        """
        for ready in self._list_ready():
            with contextlib.suppress(OSError):  # another confirmation was faster
                ready.rename(place)
                return int((place / SEED).read_text())
        return None

    def is_being_filled(self) -> bool:
        """Whether a living process makes a draw."""
        with self._open_lock() as lock:
            return lock is not None and not _try_lock(lock)

    def wait(self, place: Path, seconds: float) -> int | None:
        """Take a draw as soon as the maker has one; None if it ends without one, or too late."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            filling = self.is_being_filled()
            if (seed := self.take(place)) is not None:
                return seed
            if not filling:
                return None
            time.sleep(STEP_S)
        return None

    def fill(self, make: Make, *, wanted: Callable[[], bool] = lambda: True) -> int:
        """Make draws until the stock is full. Returns how many; 0 if another process does it.

        Args:
            wanted: asked before each draw: whether the epoch is still in use.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with self._open_lock() as lock:
            if lock is None or not _lock_soon(lock):
                return 0
            self._remove_halves()
            made = 0
            while self.count_ready() < DRAWS.ahead and wanted():
                half = self._folder / f"half-{secrets.token_hex(4)}"
                seed = make(half)
                (half / SEED).write_text(str(seed))
                half.rename(half.with_name(half.name.replace("half-", "ready-")))
                made += 1
            return made

    def start_maker(self, root: Path, target: str, key: str) -> bool:
        """Start a process that fills the stock, unless it is full or one does so already."""
        if os.environ.get(AHEAD) == "0" or self.count_ready() >= DRAWS.ahead:
            return False
        if self.is_being_filled():
            return False
        command = [sys.executable, "-m", "lance_autoresearch.bench.stock_maker",
                   str(root), target, str(self._epoch), key]  # fmt: skip
        _started[:] = [maker for maker in _started if maker.poll() is None]
        _started.append(subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, cwd=root,
        ))  # fmt: skip
        return True

    def _list_ready(self) -> list[Path]:
        return sorted(self._folder.glob("ready-*"))

    def _remove_halves(self) -> None:
        for half in self._folder.glob("half-*"):
            shutil.rmtree(half, ignore_errors=True)

    @contextlib.contextmanager
    def _open_lock(self) -> Iterator[int | None]:
        """A descriptor of the stock's lock file; None if there is no stock."""
        try:
            fd = os.open(self._folder / "maker.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            yield None
            return
        try:
            yield fd
        finally:
            os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_soon(fd: int) -> bool:
    """Take the lock unless another maker holds it."""
    for _ in range(TRIES):
        if _try_lock(fd):
            return True
        time.sleep(STEP_S)
    return False
