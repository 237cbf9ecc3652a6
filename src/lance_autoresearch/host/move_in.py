"""Puts a complete directory in its place at once, also if other processes do the same.

Several processes may make the same product at the same time (tests, campaigns). Each makes it
in a directory of its own; the first to finish moves in and the others discard theirs:

    with hold_scratch(root, "kernels") as fresh:
        ...                                          # fill it
        move_in(fresh, home, complete=lambda: (home / "libx.so").is_file())
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path


def move_in(fresh: Path, home: Path, *, complete: Callable[[], bool]) -> None:
    """Rename `fresh` to `home`, unless a complete `home` is there already.

    The lock is the one on the directory both live under: it ends with the process, so a kill
    between any two lines leaves either no home, an incomplete one that the next call replaces,
    or a complete one.

    Args:
        fresh: a filled directory on the same file system; gone afterwards.
        home: where it shall be; what is there and not complete is removed.
        complete: whether what is at `home` now can stay. Asked under the lock.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    shelf = os.open(home.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(shelf, fcntl.LOCK_EX)
        if not complete():
            shutil.rmtree(home, ignore_errors=True)
            fresh.rename(home)
    finally:
        os.close(shelf)
    shutil.rmtree(fresh, ignore_errors=True)
