"""A failure of the machine is a MachineError, wherever it is met; a kernel is never blamed for it.

    with blame_machine("building"):    # OSError, MemoryError -> MachineError that names the cause
        ...
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from lance_autoresearch.errors import MachineError

NEXT = {
    errno.EMFILE: "ulimit -n 1024",
    errno.ENFILE: "close other programs: the system has no more open files to give",
    errno.ENOSPC: "free disk space (df -h), or ./lar gc",
    errno.EDQUOT: "free disk space: the quota is used up",
    errno.EFBIG: "ulimit -f unlimited",
    errno.ENOMEM: "free memory, or ulimit -v unlimited",
    errno.EAGAIN: "ulimit -u unlimited, or end other processes",
    errno.EXDEV: "put all of .lar on one file system",
    errno.EROFS: "make the file system of the checkout writable",
}
"""What helps, by the system's error number."""


@contextlib.contextmanager
def blame_machine(where: str) -> Iterator[None]:
    """Turn the system's errors into a MachineError with its cause and what helps."""
    try:
        yield
    except MemoryError as error:
        raise MachineError(
            "the machine has no memory left", where=where, next=NEXT[errno.ENOMEM]
        ) from error
    except OSError as error:
        number = error.errno or 0
        what = os.strerror(number) if number else str(error)
        name = errno.errorcode.get(number, "error")
        raise MachineError(
            f"the machine refused: {what} ({name})",
            where=where,
            next=NEXT.get(number, "./lar doctor"),
        ) from error
