"""The files of a turn, for agents that ask us for them instead of opening them themselves.

    read_paper(turn, "program.md")     text of a paper, or of the kernel
    write_kernel(turn, text)           the one file that may change

The rules are those of the sandbox: the target's directory without its cheats and Lance's sliced
sources can be read, the kernel can be written, and nothing else exists.
"""

from __future__ import annotations

import os
from pathlib import Path

from lance_autoresearch.agents import Turn
from lance_autoresearch.agents.driven import list_papers
from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.host.kernel_file import LONGEST, place_kernel, read_kernel
from lance_autoresearch.text.plain_text import strip_text

LISTED = 60
"""Names in a refusal."""


class FileRefused(Exception):
    """A file that an agent may not read or write; the message says what it may."""


def is_kernel(turn: Turn, path: str) -> bool:
    """Whether a path, absolute or from the target's directory, names the kernel."""
    kernel = turn.kernel
    plain = os.path.normpath(_find_target_dir(turn) / path.removeprefix("file://"))
    return plain in (str(kernel), str(kernel.parent.resolve() / kernel.name))


def read_paper(turn: Turn, path: str) -> str:
    """Text of a paper or of the kernel.

    Raises:
        FileRefused: not one of them, or no text.
    """
    try:
        if is_kernel(turn, path):
            return read_kernel(turn.kernel, inside=turn.kernel.parents[3]).decode()
        place = (_find_target_dir(turn) / path.removeprefix("file://")).resolve()
        if place in _list_readable(turn):
            return place.read_text(encoding="utf-8")
    except (OSError, ValueError, RejectedKernel) as error:
        raise FileRefused(f"cannot read {strip_text(path, 200)}: {error}") from error
    names = ", ".join(list_paper_names(turn)[:LISTED])
    raise FileRefused(f"no file {strip_text(path, 200)} for you; you may read: {names}")


def write_kernel(turn: Turn, text: str) -> None:
    """Put a new text in the kernel's place.

    Raises:
        FileRefused: too long.
    """
    data = text.encode("utf-8", "replace")
    if len(data) > LONGEST:
        raise FileRefused(f"a kernel is at most {LONGEST} bytes long")
    turn.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    place_kernel(turn.kernel, data, inside=turn.kernel.parents[3],
                 scratch=turn.home / "kernel.new")


def list_paper_names(turn: Turn) -> list[str]:
    """Readable files: names from the target's directory, Lance's sources by their path."""
    desk = _find_target_dir(turn).resolve()
    names = [f"{turn.kernel.parent.resolve()}/{turn.kernel.name}", *map(str, _list_readable(turn))]
    return [str(Path(n).relative_to(desk)) if n.startswith(f"{desk}/") else n for n in names]


def _find_target_dir(turn: Turn) -> Path:
    """The target's directory in the campaign's worktree."""
    return turn.kernel.parent.parent


def _list_readable(turn: Turn) -> list[Path]:
    """Plain files, without those that the agent itself could have written."""
    closed = {_find_target_dir(turn).resolve() / "cheats", turn.kernel.parent.resolve()}
    found = [path for root in list_papers(turn) for path in sorted(root.resolve().rglob("*"))]
    return [path for path in found
            if path.is_file() and not path.is_symlink() and not closed & set(path.parents)]
