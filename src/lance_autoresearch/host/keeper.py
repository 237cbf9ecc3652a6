"""Keeps an agent's program that has no sandbox, and ends all that it started. A program of its own.

    python -I -S keeper.py PARENT COMMAND ...

It is the child subreaper of whatever COMMAND starts, so a process that leaves its session and its
parent (`setsid sleep &`) becomes its child. When COMMAND has ended, when SIGTERM comes, or when
the process PARENT ends in whatever way (parent-death signal), it kills all its descendants and
ends as COMMAND did. In the sandbox the PID namespace does the same, and better: a program that
kills its keeper escapes it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
CLEANING_S = 10.0
"""How long processes may take to die; one that waits for a disk may take longer."""


def main(parent: int, command: list[str]) -> None:
    """Run the command to its end or to the first reason to end it; does not return."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, _end)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it ended before it could be watched
        sys.exit(143)
    child = os.fork()
    if child == 0:
        _become(command, libc)
    status = _wait_for(child)
    kill_descendants()
    _end_as(status)


def _become(command: list[str], libc: ctypes.CDLL) -> None:
    """The command, in a session of its own; it dies with its keeper."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.setsid()
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        os._exit(127)


def _wait_for(child: int) -> int:
    """The wait status of the command; orphans that end meanwhile are reaped."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            return status


def _end(_number: int, _frame: object) -> None:
    kill_descendants()
    os._exit(143)


def _end_as(status: int) -> None:
    """End with the command's exit status, or by its signal."""
    sys.stdout.flush()
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        os._exit(128 + number)
    os._exit(os.WEXITSTATUS(status))


def kill_descendants() -> None:
    """Stop them all first, so that none forks away; then kill and reap until none is left."""
    until = time.monotonic() + CLEANING_S
    for pid in list_descendants():
        _send(pid, signal.SIGSTOP)
    while time.monotonic() < until:
        for pid in list_descendants():
            _send(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)


def list_descendants() -> list[int]:
    """Children, their children, and so on, from /proc."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - few imports: it starts with every turn
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                    fields = file.read().rpartition(b")")[2].split()
                parents[int(name)] = int(fields[1])
    found, new = [], [os.getpid()]
    while new:
        new = [pid for pid, parent in parents.items() if parent in new]
        found += new
    return found


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, number)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
