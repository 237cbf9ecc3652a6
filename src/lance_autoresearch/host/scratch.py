"""Private scratch directories under `.lar/tmp`, each owned by an open lock beside it.

    with hold_scratch(root, "bench") as directory:     .lar/tmp/bench-k3j2h1
        ...                                            .lar/tmp/bench-k3j2h1.owner, locked
    sweep_scratch(root)                                removes those that no process owns

Ownership is the lock: it ends with its process, however that ends, and is seen from other PID
namespaces and containers.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lance_autoresearch.host.checkout import ensure_lar_dir
from lance_autoresearch.host.lock_files import hold_lock_file, is_locked

OWNER: Final = ".owner"
"""Suffix of the lock file beside a scratch directory."""
FORGOTTEN_S: Final = 3600.0
"""A directory without an owner's file that no process has touched for so long is abandoned."""


@contextlib.contextmanager
def hold_scratch(root: Path, kind: str) -> Iterator[Path]:
    """A fresh private directory `.lar/tmp/<kind>-...`; it is removed at the end.

    The body may rename it away. Directories that no process owns are removed first.

    Raises:
        MachineError: it cannot be made, or something else lies at one of the names.
    """
    sweep_scratch(root)
    place = ensure_lar_dir(root, "tmp")
    fresh = place / f"{kind}-{secrets.token_hex(5)}"
    with hold_lock_file(_name_owner(fresh), "exclusive", wait_s=0.0, permissions=0o600):
        fresh.mkdir(mode=0o700)
        try:
            yield fresh
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            _name_owner(fresh).unlink(missing_ok=True)


def sweep_scratch(root: Path) -> None:
    """Remove the scratch of processes that have ended."""
    for path in list_abandoned(root):
        shutil.rmtree(path, ignore_errors=True)
        if _name_owner(path).exists():
            _name_owner(path).unlink(missing_ok=True)
    for owner in (root / ".lar" / "tmp").glob(f"*{OWNER}"):
        directory = owner.with_name(owner.name.removesuffix(OWNER))
        old = time.time() - _find_change_time(owner) > FORGOTTEN_S
        if old and not directory.exists() and not is_locked(owner):
            owner.unlink(missing_ok=True)


def list_abandoned(root: Path) -> list[Path]:
    """Scratch directories that no process owns."""
    found = (root / ".lar" / "tmp").glob("*")
    return [path for path in found if path.is_dir() and not is_in_use(path)]


def is_in_use(directory: Path) -> bool:
    """Whether a process owns a scratch directory, or may: it has no owner's file and is young."""
    owner = _name_owner(directory)
    if os.path.lexists(owner):
        return is_locked(owner)
    return time.time() - _find_change_time(directory) <= FORGOTTEN_S


def _name_owner(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}{OWNER}")


def _find_change_time(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return time.time()
