"""The one file an agent writes, read and replaced as untrusted data.

    text = read_kernel(path, inside=worktree)   # once; a later change of the file is no matter
    place_kernel(path, text, inside=worktree, scratch=new)

No directory below `inside` and not the file itself may be a link; a pipe, a directory or a
device in its place is refused by a read and replaced by a write.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.rules.policy import MAX_KERNEL_BYTES

LONGEST: Final = MAX_KERNEL_BYTES
"""Bytes of a kernel's text."""

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_kernel(path: Path, *, inside: Path | None = None) -> bytes:
    """The bytes of a kernel.

    Args:
        inside: directory below which links are not followed (default: only the file itself
            may not be one).

    Raises:
        RejectedKernel: missing, not a regular file, a link on the way, longer than 1 MiB.
    """
    try:
        with _open_parent(path, inside) as parent:
            handle = os.open(path.name, _FILE, dir_fd=parent)
    except FileNotFoundError as error:
        raise _make_refusal(path, "there is no kernel") from error
    except OSError as error:
        raise _make_refusal(path, f"not a regular file ({error.strerror})") from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _make_refusal(path, "not a regular file")
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(LONGEST + 1)
    finally:
        os.close(handle)
    if len(data) > LONGEST:
        raise _make_refusal(path, f"longer than {LONGEST} bytes")
    return data


def _make_refusal(path: Path, what: str) -> RejectedKernel:
    return RejectedKernel(what, where=path.name, next="write a plain file of Rust text there")


def place_kernel(path: Path, data: bytes, *, inside: Path, scratch: Path) -> None:
    """Put bytes at a path, whole or not at all, and replace what the path held before.

    Args:
        scratch: a file on the same file system that may be overwritten.
    """
    scratch.unlink(missing_ok=True)
    with scratch.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    scratch.chmod(0o644)
    with _open_parent(path, inside, make=True) as parent:
        try:
            os.rename(scratch, path.name, dst_dir_fd=parent)
        except (IsADirectoryError, NotADirectoryError):
            _remove_name(path.name, parent)
            os.rename(scratch, path.name, dst_dir_fd=parent)
        os.fsync(parent)


@contextmanager
def _open_parent(path: Path, inside: Path | None, *, make: bool = False) -> Iterator[int]:
    """Descriptor of the directory that holds `path`."""
    here = os.open(inside or path.parent, _DIRECTORY)
    try:
        for part in path.relative_to(inside).parts[:-1] if inside else ():
            below = _enter_directory(here, part, make)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def _enter_directory(here: int, part: str, make: bool) -> int:
    try:
        return os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
    except OSError:
        if not make:
            raise
    _remove_name(part, here)
    os.mkdir(part, dir_fd=here)
    return os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=here)


def _remove_name(name: str, parent: int) -> None:
    """Remove the entry of this name; a link is removed, not followed."""
    try:
        kind = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(kind):
        shutil.rmtree(name, dir_fd=parent)
    else:
        os.unlink(name, dir_fd=parent)
