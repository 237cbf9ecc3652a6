"""Private scratch directories under `.lar/tmp`; those of dead processes are removed."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from pathlib import Path

from lance_autoresearch.host.checkout import ensure_lar_dir

FORGOTTEN_S = 3600.0
"""A scratch directory without an owner that no process has touched for so long is abandoned."""


def make_scratch(root: Path, kind: str) -> Path:
    """A fresh private directory `.lar/tmp/<kind>-<pid>-...`; those of dead processes go."""
    place = ensure_lar_dir(root, "tmp")
    for old in place.glob(f"{kind}-*"):
        if not is_in_use(old):
            shutil.rmtree(old, ignore_errors=True)
    for old in place.glob("*/"):  # a build that was killed: a build takes a minute at most
        if not _has_owner_name(old) and time.time() - _find_change_time(old) > FORGOTTEN_S:
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{kind}-{os.getpid()}-", dir=place))


def is_in_use(directory: Path) -> bool:
    """Whether a scratch directory names a living process as its owner."""
    return _has_owner_name(directory) and is_alive(int(directory.name.split("-")[1]))


def _has_owner_name(directory: Path) -> bool:
    return bool(re.fullmatch(r"[a-z]+-\d+-.*", directory.name))


def _find_change_time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def is_alive(pid: int) -> bool:
    """Whether a process of that number exists, under any user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
