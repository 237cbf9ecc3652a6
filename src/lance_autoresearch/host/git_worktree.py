"""A linked worktree on disk: where git keeps its index, whether it is whole, locks left behind.

Only what every format of a repository keeps in files is read here; refs and objects are for the
git program alone.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

LOCK_AGE_S: Final = 10.0
"""A git that still works has written less than this long ago."""


def find_git_dir(worktree: Path) -> Path | None:
    """Where git keeps the index of a worktree; None if it is none (any more)."""
    try:
        said = (worktree / ".git").read_text()
    except OSError:
        return None
    place = Path(worktree, said.removeprefix("gitdir:").strip())
    return place if (place / "HEAD").exists() else None


def is_linked(worktree: Path) -> bool:
    """Whether a worktree and its repository point to each other.

    After a move of the checkout they point to the old place; in a copy, to the original.
    """
    place = find_git_dir(worktree)
    try:
        back = place and Path(place, (place / "gitdir").read_text().strip())
    except OSError:
        return False
    return back is not None and back.parent.resolve() == worktree.resolve()


def find_own_git_dir(worktree: Path, common: Path) -> Path | None:
    """Where the repository at `common` keeps this worktree's index, whatever its file says."""
    try:
        said = (worktree / ".git").read_text()
    except OSError:
        return None
    place = common / "worktrees" / Path(said.removeprefix("gitdir:").strip()).name
    return place if (place / "HEAD").exists() else None


def remove_old_lock(file: Path) -> bool:
    """Remove a lock once it is old; waits for that, or until its holder has removed it."""
    while (age := _measure_age(file)) is not None:
        if age > LOCK_AGE_S:
            file.unlink(missing_ok=True)
            return True
        time.sleep(0.1)
    return False


def is_complete(worktree: Path) -> bool:
    """Whether git has finished making a worktree: until every file is there it is locked."""
    place = find_git_dir(worktree)
    return place is not None and not (place / "locked").exists()


def find_abandoned_locks(worktree: Path) -> list[Path]:
    """`index.lock` and `HEAD.lock` of a worktree that a killed git left behind.

    A lock counts as left behind if it is 10 s old and no git works inside the worktree
    (an hour old, if running processes cannot be listed).
    """
    place = find_git_dir(worktree)
    names = ("index.lock", "HEAD.lock", "reftable/tables.list.lock")
    found = [] if place is None else [place / name for name in names]
    ages = [(lock, _measure_age(lock)) for lock in found]
    old = [(lock, age) for lock, age in ages if age is not None and age > LOCK_AGE_S]
    if not old:
        return []
    if Path("/proc/self/cwd").exists():
        return [] if _is_git_running(worktree) else [lock for lock, _ in old]
    return [lock for lock, age in old if age > 3600]


def _measure_age(path: Path) -> float | None:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return None


def _is_git_running(worktree: Path) -> bool:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name = (process / "comm").read_text()
            here = (process / "cwd").readlink()
        except OSError:
            continue
        if name.startswith("git") and here.is_relative_to(worktree.resolve()):
            return True
    return False
