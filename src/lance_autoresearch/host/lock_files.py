"""Lock files: opened without waiting, looked at, locked, and still the file of that name.

    with hold_lock_file(path, "exclusive", wait_s=30.0) as descriptor:
        ...
    is_locked(path)      whether any process holds it, in whatever namespace it runs

A lock belongs to an open file, so it ends with its holder, is seen from every PID namespace
and container that shares the file system, and does not outlive a reboot. No process number says
anything here.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from lance_autoresearch.errors import MachineError
from lance_autoresearch.host.os_errors import explain_os_error, name_file_kind

Mode = Literal["shared", "exclusive"]

_HOW: Final[dict[Mode, int]] = {"shared": fcntl.LOCK_SH, "exclusive": fcntl.LOCK_EX}
_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
STEP_S: Final = 0.01


class BusyLock(MachineError):
    """Another process holds the lock."""


@contextlib.contextmanager
def hold_lock_file(
    path: Path, mode: Mode, *, wait_s: float | None = None, permissions: int = 0o644
) -> Iterator[int]:
    """Hold the lock of a file, which is made if it is missing; yields its descriptor.

    A holder that finds, once it has the lock, that the name leads to another file by now (it
    was removed meanwhile) begins again with that one.

    Args:
        wait_s: how long to wait; None: until it is free.
        permissions: of a file that is made.

    Raises:
        BusyLock: it was not free in time.
        MachineError: something else lies at the name, or the file cannot be made.
    """
    until = None if wait_s is None else time.monotonic() + wait_s
    while True:
        descriptor = open_lock_file(path, permissions)
        try:
            take_lock(descriptor, mode, until, path)
            if _is_named(descriptor, path):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def open_lock_file(path: Path, permissions: int = 0o644) -> int:
    """A descriptor of a lock file; it is made if it is missing.

    Raises:
        MachineError: something else lies at the name, or the file cannot be made.
    """
    try:
        descriptor = _open_existing(path)
        if descriptor is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, permissions)
        mode = os.fstat(descriptor).st_mode
    except OSError as error:
        raise explain_os_error(error) from error
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise _make_foreign_error(path, mode)
    return descriptor


def _open_existing(path: Path) -> int | None:
    """A descriptor of what lies there, None if nothing does; looked at before it is opened."""
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            raise _make_foreign_error(path, mode)
        try:
            return os.open(path, os.O_RDWR | _FLAGS)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            return os.open(path, os.O_RDONLY | _FLAGS)  # another user's; that is enough for flock
    except FileNotFoundError:
        return None


def _make_foreign_error(path: Path, mode: int) -> MachineError:
    return MachineError(
        f"{name_file_kind(mode)} lies where a lock file belongs",
        where=str(path),
        next=f"look what made it, then rm {path}",
    )


def take_lock(descriptor: int, mode: Mode, until: float | None, path: Path) -> None:
    """Take the lock of an open file or directory.

    Args:
        until: end of the wait by the monotonic clock; None: wait until it is free.

    Raises:
        BusyLock: it was not free in time.
    """
    how = _HOW[mode]
    if until is None:
        fcntl.flock(descriptor, how)
        return
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise BusyLock("another process holds the lock", where=str(path)) from None
        time.sleep(STEP_S)


def _is_named(descriptor: int, path: Path) -> bool:
    """Whether the name still leads to this open file."""
    try:
        there = path.lstat()
    except OSError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock; a name that leads to no lock file is free."""
    try:
        descriptor = _open_existing(path)
    except (OSError, MachineError):
        return False
    if descriptor is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
