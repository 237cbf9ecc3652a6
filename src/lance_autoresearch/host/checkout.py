"""Where the checkout lies, and its private folder `.lar`."""

from __future__ import annotations

import os
from pathlib import Path

from lance_autoresearch.errors import UsageError
from lance_autoresearch.host.os_errors import explain_os_error


def find_root(start: Path | None = None) -> Path:
    """The checkout: the directory that holds `upstream.toml` and `targets/`.

    Looks at $LAR_ROOT, then upwards from `start` (default: the working directory), then
    upwards from this file. A campaign's worktree (`<root>/.lar/work/<name>`) is itself such a
    directory but never the root: everything except its kernel comes from the outer checkout.

    Raises:
        UsageError: no such directory.
    """
    if override := os.environ.get("LAR_ROOT"):
        read_cwd()
        return Path(override).resolve()
    for origin in (start or read_cwd(), Path(__file__)):
        here = origin.resolve()
        for directory in (here, *here.parents):
            if (directory / "upstream.toml").is_file() and (directory / "targets").is_dir():
                return _find_outer_checkout(directory)
    raise UsageError(
        "no checkout of lance-autoresearch here",
        where=str(start or Path.cwd()),
        next="cd into the checkout, or set LAR_ROOT",
    )


def read_cwd() -> Path:
    """The working directory. Raises UsageError if it was removed."""
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError(
            "the working directory does not exist any more", next="cd into the checkout"
        ) from error


def _find_outer_checkout(directory: Path) -> Path:
    parts = directory.parts
    for i in range(len(parts) - 2, 0, -1):
        if parts[i] == ".lar" and parts[i + 1] == "work":
            return Path(*parts[:i])
    return directory


def ensure_lar_dir(root: Path, *parts: str) -> Path:
    """`<root>/.lar/<parts>`, created if it is missing.

    Raises:
        MachineError: it cannot be made.
    """
    path = root.joinpath(".lar", *parts)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain_os_error(error) from error
    return path
