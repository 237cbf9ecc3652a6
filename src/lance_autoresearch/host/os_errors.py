"""What the system's error codes mean here, and what ends the cause.

    explain_os_error(error)  -> MachineError("this process may open no more files (64)", next=...)
"""

from __future__ import annotations

import errno
import os
import resource
import stat
from pathlib import Path

from lance_autoresearch.errors import MachineError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The file system, or this user's share of it, is full."""
FOREIGN = frozenset({errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENXIO})
"""Another kind of file lies at the name."""

_CAUSES: dict[int, tuple[str, str]] = {
    errno.ENFILE: ("the system may open no more files", "end other programs, then again"),
    errno.EACCES: ("this user may not do that", "look at the owner and the mode of the file"),
    errno.EPERM: ("this user may not do that", "look at the owner and the mode of the file"),
    errno.EROFS: ("the file system is read-only", "mount it writable, or use another checkout"),
    errno.ENOENT: ("no such file or directory", "lar doctor"),
    errno.ENAMETOOLONG: ("the path is too long", "move the checkout to a shorter path"),
    errno.ENOMEM: ("there is no memory left", "end other programs, or raise the limit of memory"),
    errno.EIO: ("the disk failed", "look at the system's log"),
    errno.ESTALE: ("the network file system lost the file", "again, or use a local disk"),
}


def name_file_kind(mode: int) -> str:
    """`a named pipe`, `a directory`: what a name leads to, by its mode."""
    kinds = (
        (stat.S_ISLNK, "a symbolic link"), (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"), (stat.S_ISDIR, "a directory"),
        (stat.S_ISBLK, "a device"), (stat.S_ISCHR, "a device"), (stat.S_ISREG, "a file"),
    )  # fmt: skip
    return next((name for test, name in kinds if test(mode)), "something else")


def explain_os_error(error: OSError | MemoryError) -> MachineError:
    """An error of the system as one that names the cause, the file and what ends it."""
    if isinstance(error, MemoryError):
        what, following = _CAUSES[errno.ENOMEM]
        return MachineError(what, next=following)
    name = error.filename2 or error.filename
    where = None if name is None else os.fsdecode(name) if not isinstance(name, int) else str(name)
    what, following = _describe_cause(error, where)
    return MachineError(what, where=where, next=following)


def _describe_cause(error: OSError, where: str | None) -> tuple[str, str]:
    code = error.errno or 0
    if code in FULL:
        return (
            "no space left on the disk; what was decided is in the ledger and stays",
            "lar gc, or make room; then the same again (a loop goes on with --resume)",
        )
    if code == errno.EMFILE:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return f"this process may open no more than {limit} files", "ulimit -n 1024, then again"
    if code == errno.EFBIG:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        return (
            f"a file may not become longer than {limit} bytes here",
            "ulimit -f unlimited, then again",
        )
    if code == errno.EAGAIN:
        return "the system refused another process or thread", "ulimit -u, or end other programs"
    if code in FOREIGN and where is not None and (kind := _find_kind(where)):
        return f"{kind} lies there", "move it away, then again"
    fallback = (error.strerror or str(error) or type(error).__name__, "lar doctor")
    return _CAUSES.get(code, fallback)


def _find_kind(path: str) -> str | None:
    """The kind of what lies at a path, or of its first parent that is no directory."""
    for place in (*reversed(Path(path).absolute().parents), Path(path)):
        try:
            mode = place.lstat().st_mode
            if place != Path(path) and place.is_dir():
                continue
        except OSError:
            return None
        return name_file_kind(mode)
    return None
