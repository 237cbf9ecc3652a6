"""What this checkout has made already, taken into another one; how a program is begun there."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def interruptible() -> None:
    """For `preexec_fn`: a suite that runs in the background would hand down a deaf Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def take_products(to: Path, *names: str, linked: bool = False) -> None:
    """Bring `.lar/<name>` of this checkout to the one at `to`, where it is made already.

    Other tests make products meanwhile, each moved into place whole; the files that they write
    beside them first begin with a dot and may vanish at any time.
    """
    for name in names:
        source = ROOT / ".lar" / name
        if source.is_dir():
            copy: Callable[[str, str], object] = _link if linked else shutil.copy2
            hidden = shutil.ignore_patterns(".*")
            shutil.copytree(source, to / ".lar" / name, copy_function=copy, ignore=hidden)


def _link(source: str, to: str) -> None:
    try:
        os.link(source, to)
    except OSError:
        shutil.copy2(source, to)
