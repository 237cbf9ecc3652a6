"""Landlock: a sandbox for a compiler if bubblewrap cannot start (no user namespaces).

    python -I -S landlock.py BUILD /usr SYSROOT -- SYSROOT/bin/rustc kernels.rs

confines this process to its arguments, then becomes the program: it reads and runs what lies
below the named directories, writes below the first one alone, opens no TCP connection and
signals no process outside. Weaker than bubblewrap: names of other files can still be probed,
other processes are seen, UDP is open. Run as a script it imports nothing of this package, so
that it starts in milliseconds.

Constants and structures: Linux, include/uapi/linux/landlock.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import stat
import struct
import sys
from collections.abc import Sequence

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""System call numbers, the same on every architecture."""
_ASK_VERSION, _PATH_BENEATH = 1, 1
_PR_SET_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15
"""Rights that make sense for a plain file; truncate and device ioctl are the last two."""
_FS_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many file system rights each version knows; newer ones as 5."""
_TCP = 3
_SCOPES = 3
"""No abstract Unix sockets and no signals to processes outside."""


def read_version() -> int:
    """Landlock's ABI version of this kernel, 0 if there is none."""
    if platform.system() != "Linux":
        return 0
    call = ctypes.CDLL(None, use_errno=True).syscall
    return max(0, int(call(_CREATE_RULESET, None, 0, _ASK_VERSION)))


def confine(workdir: str, readable: Sequence[str]) -> None:
    """Restrict this process, for good, to read `readable` and write `workdir`.

    Raises:
        OSError: this kernel has no Landlock, or refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    abi = read_version()
    rights = (1 << _FS_RIGHTS.get(abi, 16)) - 1
    sizes = {1: 8, 2: 8, 3: 8, 4: 16, 5: 16}
    rules = struct.pack("QQQ", rights, _TCP, _SCOPES)[: sizes.get(abi, 24)]
    ruleset = _check_result(libc.syscall(_CREATE_RULESET, rules, len(rules), 0))
    allowed = [(path, _READ & rights) for path in readable]
    allowed += [("/dev/null", (_READ_FILE | _WRITE_FILE) & rights), (workdir, rights)]
    for path, access in allowed:
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
            access &= rights if stat.S_ISDIR(os.fstat(fd).st_mode) else _FILE_RIGHTS
            rule = struct.pack("=Qi", access, fd)
            _check_result(libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0))
            os.close(fd)
    _check_result(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _check_result(libc.syscall(_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def _check_result(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def main(argv: Sequence[str]) -> None:
    """Confine, then become the program after `--`."""
    cut = argv.index("--")
    workdir, *readable = argv[:cut]
    confine(workdir, readable)
    os.execv(argv[cut + 1], list(argv[cut + 1 :]))


if __name__ == "__main__":
    main(sys.argv[1:])
