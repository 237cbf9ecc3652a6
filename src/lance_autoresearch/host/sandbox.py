"""The sandbox of untrusted processes: rustc on a kernel's bytes, the linker, makers.

    done = run_sandboxed([rustc, "kernels.rs"], workdir=fresh, readable=[sysroot],
    box=choose_sandbox()) done.code, done.stderr, done.killed

The sandbox is bubblewrap: an empty root with read-only `/usr`, the toolchain and what is named in
`readable`; only `workdir` can be written; no network, no other processes, no environment.
If bubblewrap cannot start, Landlock keeps files and TCP away (`landlock.py`). If there is
neither, the same limits hold but nothing is hidden; that has to be asked for by name
(LAR_ALLOW_UNBOXED=1). Every build records which sandbox it ran in.
"""

from __future__ import annotations

import contextlib
import functools
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lance_autoresearch.errors import MachineError
from lance_autoresearch.host import landlock
from lance_autoresearch.host.cpu_budget import CpuBudget

UNBOXED = "LAR_ALLOW_UNBOXED"
"""Environment variable that allows running without a sandbox."""

SYSTEM_PATH = "/usr/bin:/bin:/usr/local/bin:/usr/sbin:/sbin"
"""Directories that only the machine's owner writes."""

_HOST_DIRS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_HOST_FILES = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d")


@dataclass(frozen=True, slots=True)
class ResourceLimits:
    """What one process tree in the sandbox may use."""

    seconds: float = 60.0
    """Wall clock; then the whole group is killed."""
    cpu_seconds: float | None = None
    """CPU of each process; None: as much as the wall clock. A tree's CPU is a `CpuBudget`."""
    memory_bytes: int = 8 << 30
    """Address space of each process."""
    file_bytes: int = 256 << 20
    """Size of any file it writes, its output included."""
    output_bytes: int = 64 << 10
    """How many bytes of its output are read."""


class StopCause(StrEnum):
    """Why we ended a process tree in the sandbox."""

    TIMEOUT = "timeout"
    """Its wall clock ran out."""
    CPU = "cpu"
    """The budget of CPU that it shares is used up."""
    CANCELLED = "cancelled"
    """Another process of the same budget failed."""


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """How a process in the sandbox ended."""

    code: int
    """Exit status; negative, or in bubblewrap and a shell 128 more: the signal."""
    stdout: bytes
    stderr: bytes
    seconds: float
    box: str
    """`bwrap`, `landlock` or `none`."""
    killed: StopCause | None
    """Why we ended it, or None."""
    cpu_seconds: float = 0.0
    """CPU of the whole process tree."""

    @property
    def signal(self) -> int | None:
        """The signal that ended it, if one did."""
        if self.code < 0:
            return -self.code
        return self.code - 128 if self.code > 128 else None


def find_system_program(name: str) -> str | None:
    """Path of a program, from the system's directories before any other on PATH.

    A user's entry in front of PATH must not choose the sandbox, linker or shell of a build.
    """
    found = shutil.which(name)
    return None if found is None else shutil.which(name, path=SYSTEM_PATH) or found


@functools.cache
def find_bubblewrap() -> str | None:
    """Path of a bubblewrap that works here, or None."""
    path = find_system_program("bwrap")
    if path is None:
        return None
    try:
        trial = subprocess.run(
            # The conductor's sandbox has a /proc of its own, which some containers refuse.
            [*_wrap_in_bwrap(path, Path("/"), ()), "--proc", "/proc", "/usr/bin/env", "true"],
            capture_output=True,
            env={"PATH": SYSTEM_PATH},
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return path if trial.returncode == 0 else None


def choose_sandbox(*, landlocked: bool = False) -> str:
    """The strongest sandbox here: `bwrap`, `landlock`, or `none` if that was allowed explicitly.

    Args:
        landlocked: Landlock will do, as it does for a compiler or a kernel, which only
            compute. It hides too little for a program that talks to the network.

    Raises:
        MachineError: there is no sandbox, and running without one was not allowed.
    """
    if find_bubblewrap() is not None:
        return "bwrap"
    if landlocked and landlock.read_version():
        return "landlock"
    if os.environ.get(UNBOXED) == "1":
        return "none"
    raise MachineError(
        "no box for untrusted code: bubblewrap is missing or may not create user namespaces",
        where="sandbox",
        next=f"apt-get install bubblewrap (in a container: allow user namespaces), or accept the "
        f"risk with {UNBOXED}=1",
    )


def run_sandboxed(
    argv: Sequence[str],
    *,
    workdir: Path,
    readable: Iterable[str | Path] = (),
    env: Mapping[str, str] | None = None,
    limits: ResourceLimits | None = None,
    stdin: bytes = b"",
    box: str | None = None,
    budget: CpuBudget | None = None,
) -> SandboxResult:
    """Run `argv` in `workdir` inside the sandbox and wait for it.

    Args:
        argv: absolute program and its arguments.
        workdir: the only writable directory, also the working directory.
        readable: further files and directories it may read.
        env: its whole environment, on top of a PATH of system directories.
        limits: bounds; the defaults suit a compiler.
        stdin: bytes it can read.
        box: `bwrap`, `landlock` or `none`; default the strongest.
        budget: CPU that it shares with other processes; the tree is ended once it is used up.
    """
    box = box or choose_sandbox(landlocked=True)
    limits = limits or ResourceLimits()
    command = _wrap_command(argv, box, limits, workdir, readable)
    clean = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TMPDIR": str(workdir), **(env or {})}
    begun = time.monotonic()
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        tempfile.TemporaryFile() as source,
    ):
        source.write(stdin)
        source.seek(0)
        process = subprocess.Popen(
            command,
            cwd=workdir,
            env=clean,
            stdin=source,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            killed = _watch(process, begun + limits.seconds, budget)
        finally:
            _kill_group(process)  # without bubblewrap nothing else ends what it left behind
            cpu = _reap(process)
            if budget is not None:
                budget.settle(process.pid, cpu)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read(limits.output_bytes))
    seconds = time.monotonic() - begun
    return SandboxResult(process.returncode, texts[0], texts[1], seconds, box, killed, cpu)


WATCH_S = 0.1
"""Seconds between two looks at the CPU that a process tree has used."""


def _watch(
    process: subprocess.Popen[bytes], end: float, budget: CpuBudget | None
) -> StopCause | None:
    """Wait until the process has ended, and leave it unreaped; end it if it uses too much."""
    pidfd = os.pidfd_open(process.pid)
    try:
        ended = select.poll()
        ended.register(pidfd, select.POLLIN)
        while True:
            left = end - time.monotonic()
            wait = max(0.0, min(left, WATCH_S) if budget is not None else left)
            if ended.poll(1000 * wait):
                return None
            cause = _find_stop_cause(process, end, budget)
            if cause is not None:
                _kill_group(process)
                ended.poll()
                return cause
    finally:
        os.close(pidfd)


def _find_stop_cause(
    process: subprocess.Popen[bytes], end: float, budget: CpuBudget | None
) -> StopCause | None:
    if budget is not None and budget.cancelled:
        return StopCause.CANCELLED
    if budget is not None and budget.is_used_up(process.pid):
        return StopCause.CPU
    return StopCause.TIMEOUT if time.monotonic() >= end else None


def _reap(process: subprocess.Popen[bytes]) -> float:
    """Collect an ended process; seconds of CPU of it and of all that it waited for."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def start_sandboxed(
    argv: Sequence[str],
    *,
    workdir: Path,
    readable: Iterable[str | Path] = (),
    env: Mapping[str, str] | None = None,
    limits: ResourceLimits | None = None,
    errors: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start `argv` in the sandbox and talk to it: pipes to its input and from its output.

    The caller ends it with `end_sandboxed`; its wall clock is the caller's business too.

    Args:
        errors: descriptor for its error output; default nowhere.
    """
    box = choose_sandbox(landlocked=True)
    command = _wrap_command(argv, box, limits or ResourceLimits(), workdir, readable)
    clean = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TMPDIR": str(workdir), **(env or {})}
    return subprocess.Popen(
        command,
        cwd=workdir,
        env=clean,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if errors is None else errors,
        start_new_session=True,
        bufsize=0,
    )


def end_sandboxed(process: subprocess.Popen[bytes]) -> None:
    """End what `start_sandboxed` began, with all its children."""
    _kill_group(process)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _wrap_command(
    argv: Sequence[str],
    box: str,
    limits: ResourceLimits,
    workdir: Path,
    readable: Iterable[str | Path],
) -> list[str]:
    """The command line: Landlock's script confines itself, then runs `argv`; bwrap wraps it."""
    if box == "landlock":
        argv = [*_wrap_in_landlock(workdir, readable), *argv]
    command = _wrap_in_limits(argv, limits)
    if box == "bwrap":
        command = _wrap_in_bwrap(find_bubblewrap() or "bwrap", workdir, readable) + command
    return command


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the whole group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _wrap_in_limits(argv: Sequence[str], limits: ResourceLimits) -> list[str]:
    """Resource limits through the shell: no Python code runs between fork and exec."""
    script = (
        f"ulimit -v {limits.memory_bytes >> 10} 2>/dev/null; "
        f"ulimit -f {limits.file_bytes >> 9}; ulimit -c 0; "
        f'ulimit -t {int(limits.cpu_seconds or limits.seconds) + 1}; exec "$@"'
    )
    return ["/bin/sh", "-c", script, "sh", *argv]


def _wrap_in_bwrap(path: str, workdir: Path, readable: Iterable[str | Path]) -> list[str]:
    args = [path, "--unshare-all", "--die-with-parent", "--new-session"]
    args += ["--ro-bind", "/usr", "/usr"]
    for directory in _HOST_DIRS:
        if Path(directory).is_symlink():
            args += ["--symlink", str(Path(directory).readlink()), directory]
        elif Path(directory).is_dir():
            args += ["--ro-bind", directory, directory]
    for file in _HOST_FILES:
        args += ["--ro-bind-try", file, file]
    args += ["--dev", "/dev", "--tmpfs", "/tmp"]
    for item in readable:
        args += ["--ro-bind", str(item), str(item)]
    if workdir != Path("/"):
        args += ["--bind", str(workdir), str(workdir), "--chdir", str(workdir)]
    return args


def _wrap_in_landlock(workdir: Path, readable: Iterable[str | Path]) -> list[str]:
    shown = ["/usr", *_HOST_DIRS, *_HOST_FILES, *map(str, readable)]
    return [sys.executable, "-I", "-S", landlock.__file__, str(workdir), *shown, "--"]
