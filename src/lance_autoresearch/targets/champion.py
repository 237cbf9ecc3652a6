"""A target's champion: the kernel that the repository carries, else Lance's own."""

from __future__ import annotations

from pathlib import Path

from lance_autoresearch.host.kernel_file import read_kernel


def find_kernel_path(root: Path, target: str) -> Path:
    """Where a committed champion lies."""
    return root / "targets" / target / "kernel" / "kernels.rs"


def read_champion(root: Path, target: str) -> bytes | None:
    """The committed champion's text; None: there is none; Lance's own is the champion."""
    path = find_kernel_path(root, target)
    return read_kernel(path) if path.exists() else None
