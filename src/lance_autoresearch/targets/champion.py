"""A target's champion: the kernel that the repository carries, else Lance's own."""

from __future__ import annotations

import os
from pathlib import Path

from lance_autoresearch.errors import LedgerError, UsageError
from lance_autoresearch.host.git import Git
from lance_autoresearch.host.kernel_file import read_kernel


def find_kernel_path(root: Path, target: str) -> Path:
    """Where a committed champion lies."""
    return root / "targets" / target / "kernel" / "kernels.rs"


def read_champion(root: Path, target: str) -> bytes | None:
    """The committed champion's text; None: there is none; Lance's own is the champion.

    Raises:
        UsageError: git has a champion, but its file is missing here.
        RejectedKernel: it is not a plain file.
    """
    path = find_kernel_path(root, target)
    if os.path.lexists(path):
        return read_kernel(path)
    name = path.relative_to(root).as_posix()
    try:
        tracked = Git(root).run("ls-files", "--error-unmatch", "--", name, fail=False)
    except LedgerError:  # no git here: nothing says that there was one
        return None
    if tracked:
        raise UsageError(
            "the champion's file is missing; it is committed", where=name,
            next=f"git checkout -- {name}",
        )  # fmt: skip
    return None
