"""The sandbox of a coding agent's program: it sees the kernel's papers, writes one directory.

    ended = run_program(ProgramRun(["/usr/bin/codex", "exec", "-"], writes=kernel_dir,
    cwd=kernel_dir,
                       home=private, reads=(target_dir,), stdin=prompt, seconds=1800))
    ended.code, ended.stdout, ended.stderr, ended.killed

The sandbox is bubblewrap on an empty root: system programs, name resolution and certificates, the
agent's own program and what is named in `reads`, all read-only; `writes` and `home` can be
written. So `.lar/` (ledger, epochs with their seeds, caches), the judge, other kernels and the
person's own home do not exist in it. The **network is open**: the agent has to reach its model.
Without bubblewrap nothing is hidden; that has to be allowed by name (LAR_ALLOW_UNBOXED=1), and a
keeper (`keeper.py`) ends what the program leaves behind.
`start_conversation` starts a program that is talked to, not run to its end, in the same sandbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from lance_autoresearch.errors import LarError, UsageError
from lance_autoresearch.host import keeper
from lance_autoresearch.host.disk_use import is_larger, is_room_left
from lance_autoresearch.host.sandbox import choose_sandbox, find_bubblewrap

READABLE = "LAR_AGENT_READABLE"
"""Further files and directories an agent's program needs, separated by colons."""

OUTPUT_BYTES = 16 << 20
"""How many bytes from the end of an agent's output are read."""
LINGER_S = 10.0
"""How long a program may run on once it has given its result: to write its caches, say."""
POLL_S = 0.2
"""How often a running program's output is looked at."""
MEASURE_S = 5.0
"""How often the size of its home is measured."""

_RUNNING: set[int] = set()
"""Process groups of the programs that run now; `end_programs` ends them from another thread."""

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix")
_ETC = (
    "alternatives", "ca-certificates", "ca-certificates.conf", "gai.conf", "group", "host.conf",
    "hosts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "nsswitch.conf", "passwd",
    "pki", "protocols", "resolv.conf", "services", "ssl",
)
_SHARED_ENV = (
    "LANG", "LC_ALL", "TERM", "TZ", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    "http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE",
)


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """One run of an agent's program."""

    argv: Sequence[str]
    """The program (a name on PATH or a path) and its arguments."""
    writes: Path
    """The one directory it may change."""
    home: Path
    """Its private home, kept between turns, so that the program can keep notes."""
    cwd: Path
    reads: Sequence[Path] = ()
    hides: Sequence[Path] = ()
    """Directories inside `reads` that are empty for it."""
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes = b""
    seconds: float = 1800.0
    """Wall clock; then its whole process tree is killed."""
    is_result: Callable[[str], bool] | None = None
    """Whether a line of its output is the result of the turn: then it has `LINGER_S` to end."""
    most_bytes: int | None = None
    """Largest size of `home` and `writes` together; then it is ended."""


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """How the program ended."""

    code: int
    stdout: str
    stderr: str
    killed: str | None
    """`timeout`, `full` (its home grew too large), `no-room` (the disk is full), or None."""
    seconds: float
    lingered: bool = False
    """It gave its result and did not end, so it was ended; its code is 0 then."""


def find_program(name: str) -> Path:
    """An installed program.

    Raises:
        UsageError: not on PATH.
    """
    found = shutil.which(name)
    if found is None:
        raise UsageError(f"no program '{name}' on PATH", next=f"install {name}, or name its path")
    return Path(found).absolute()


def select_environment(*prefixes: str) -> dict[str, str]:
    """The agent's part of our environment: language, proxies, and its own vendor's names."""
    return {
        name: value for name, value in os.environ.items()
        if name in _SHARED_ENV or name.startswith(prefixes or ("\0",))
    }


def run_program(errand: ProgramRun) -> ProgramResult:
    """Run it to its end, or to the end of its time.

    Raises:
        UsageError: no such program.
        MachineError: no sandbox, and running without one was not allowed.
    """
    command, env = _wrap_in_sandbox(errand)
    begun = time.monotonic()
    with _open_spool() as out, _open_spool() as err, _open_spool() as source:
        source.write(errand.stdin)
        source.seek(0)
        process = subprocess.Popen(
            command, cwd=errand.cwd, env=env, stdin=source, stdout=out, stderr=err,
            start_new_session=True,
        )
        _RUNNING.add(process.pid)
        try:
            killed = _watch(process, errand, _ResultWatch(out, errand.is_result), begun)
        finally:
            _RUNNING.discard(process.pid)
            _end_tree(process)
        texts = (_read_tail(out), _read_tail(err))
    lingered = killed == "lingered"
    return ProgramResult(
        0 if lingered else process.returncode, *texts, None if lingered else killed,
        time.monotonic() - begun, lingered,
    )  # fmt: skip


def _watch(
    process: subprocess.Popen[bytes], errand: ProgramRun, result: _ResultWatch, begun: float
) -> str | None:
    """Wait for its end; why it has to be ended, or None."""
    measured = begun
    while True:
        try:
            process.wait(POLL_S)
            return None
        except subprocess.TimeoutExpired:
            now = time.monotonic()
        if now - begun >= errand.seconds:
            return "timeout"
        if result.is_overdue(now):
            return "lingered"
        if errand.most_bytes is not None and now - measured >= MEASURE_S:
            if is_larger((errand.home, errand.writes), errand.most_bytes):
                return "full"
            if not is_room_left(errand.home):
                return "no-room"
            measured = time.monotonic()


class _ResultWatch:
    """Reads a program's output while it is written, for the line that ends its turn."""

    def __init__(self, out: IO[bytes], is_result: Callable[[str], bool] | None) -> None:
        self._fd, self._is_result = out.fileno(), is_result
        self._at, self._rest = 0, b""
        self._came: float | None = None

    def is_overdue(self, now: float) -> bool:
        """Whether the result came `LINGER_S` ago. The offset that the program writes at stays."""
        while self._is_result is not None:
            piece = os.pread(self._fd, 1 << 20, self._at)
            if not piece:
                break
            self._at += len(piece)
            *lines, self._rest = (self._rest + piece).split(b"\n")
            self._rest = self._rest[-OUTPUT_BYTES:]
            if any(self._is_result(line.decode("utf-8", "replace")) for line in lines):
                self._came = now
        return self._came is not None and now - self._came >= LINGER_S


def find_sandbox_fault() -> str | None:
    """Why an agent's sandbox does not start here, in its own words; None: it does. It is tried."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        try:
            done = run_program(ProgramRun(["/usr/bin/env", "true"], home, home, home, seconds=20))
        except (LarError, OSError) as error:
            return str(error)
    return None if done.code == 0 else " ".join(done.stderr.split())[:200] or f"code {done.code}"


@dataclass(slots=True)
class PipedProgram:
    """A program that is talked to over its standard input and output."""

    process: asyncio.subprocess.Process
    stderr: str = ""
    """Its standard error, known once it has ended."""


@contextlib.asynccontextmanager
async def start_conversation(errand: ProgramRun, longest_line: int) -> AsyncIterator[PipedProgram]:
    """Start it with pipes; kill its whole process tree at the end.

    Args:
        longest_line: bytes; reading a longer line from it raises ValueError.

    Raises:
        UsageError: no such program.
        MachineError: no sandbox, and running without one was not allowed.
    """
    command, env = _wrap_in_sandbox(errand)
    with _open_spool() as err:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=errand.cwd, env=env, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=err, limit=longest_line,
            start_new_session=True,
        )
        spoken = PipedProgram(process)
        _RUNNING.add(process.pid)
        try:
            yield spoken
        finally:
            _RUNNING.discard(process.pid)
            await _end_conversation(process)
            process._transport.close()  # type: ignore[attr-defined] # closes the pipes too
            spoken.stderr = _read_tail(err)


def _wrap_in_sandbox(errand: ProgramRun) -> tuple[list[str], dict[str, str]]:
    """The command line that runs it in its sandbox, and its environment."""
    first = find_program(errand.argv[0])
    command = [str(first), *errand.argv[1:]]
    if choose_sandbox() == "bwrap":
        command = [*_build_bwrap_command(errand, first), *command]
    else:
        command = [sys.executable, "-I", "-S", keeper.__file__, str(os.getpid()), *command]
    scratch = errand.home / "tmp"  # not /tmp: Codex wants its own directory outside TMPDIR
    scratch.mkdir(exist_ok=True)
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), **errand.env}
    return command, env | {"HOME": str(errand.home), "TMPDIR": str(scratch)}


@contextlib.contextmanager
def _open_spool() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        yield file


def _read_tail(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - OUTPUT_BYTES))
    return file.read().decode("utf-8", "replace")


def _end_tree(process: subprocess.Popen[bytes]) -> None:
    """End the whole tree: a sandbox's init dies with the sandbox, a keeper ends what it keeps."""
    if process.poll() is None and choose_sandbox() != "bwrap":
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2 * keeper.CLEANING_S)
    _kill_group(process.pid)
    process.wait()


async def _end_conversation(process: asyncio.subprocess.Process) -> None:
    """The same for a program with pipes; a child may hold them open."""
    if process.returncode is None and choose_sandbox() != "bwrap":
        process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 2 * keeper.CLEANING_S)
    _kill_group(process.pid)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 2.0)


def end_programs() -> None:
    """End every program that runs now, with all that it started; its turn fails."""
    how = signal.SIGKILL if choose_sandbox() == "bwrap" else signal.SIGTERM  # a keeper cleans up
    for pid in tuple(_RUNNING):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, how)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _build_bwrap_command(errand: ProgramRun, first: Path) -> list[str]:
    args = [find_bubblewrap() or "bwrap", "--unshare-user", "--unshare-pid", "--unshare-ipc"]
    args += ["--unshare-uts", "--unshare-cgroup-try", "--die-with-parent", "--new-session"]
    for directory in map(Path, _SYSTEM):
        if directory.is_symlink():
            args += ["--symlink", str(directory.readlink()), str(directory)]
        elif directory.is_dir():
            args += ["--ro-bind", str(directory), str(directory)]
    for name in _ETC:
        args += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    args += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run"]
    for path in (*_list_installation(first), *_list_named_paths(), *errand.reads):
        args += ["--ro-bind-try", str(path), str(path)]
    for path in errand.hides:
        if path.is_dir():
            args += ["--tmpfs", str(path)]
    for path in (errand.home, errand.writes):
        args += ["--bind", str(path), str(path)]
    return [*args, "--chdir", str(errand.cwd)]


def _list_named_paths() -> list[Path]:
    return [Path(p) for p in os.environ.get(READABLE, "").split(":") if p.startswith("/")]


def _list_installation(first: Path) -> list[Path]:
    """Files that a program outside the system's directories needs to start."""
    resolved = Path("/etc/resolv.conf").resolve()
    found = [resolved.parent] if resolved.is_relative_to("/run") else []
    for path in (first, first.resolve()):
        if path.is_relative_to("/usr"):
            continue
        parts = path.parts
        if "node_modules" in parts:  # <prefix>/lib/node_modules/...: node itself is beside it
            found.append(Path(*parts[: max(2, parts.index("node_modules") - 1)]))
        elif path.parent.name == "bin" and path.parent.parent.parent != Path("/"):
            found.append(path.parent if path.is_symlink() else path.parent.parent)
        else:
            found.append(path)
    return found
