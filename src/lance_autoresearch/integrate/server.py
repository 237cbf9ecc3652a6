"""One process of the end-to-end program: started in the sandbox, asked line by line.

    with start_server(space, ["pq128-n16"], hooks=[Hook("hamming", library)], core=1) as server:
        nanoseconds = server.run_queries("pq128-n16", first=0, count=20)
        answers = server.read_answers()

The clock is this side's: a kernel shares the program's process and could set any other. What is
timed runs from the request to the reply, so it holds two passages through a pipe, on both sides
alike.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import IO, Any

from lance_autoresearch.errors import MachineError
from lance_autoresearch.host.checkout import ensure_lar_dir
from lance_autoresearch.host.machine import list_cores
from lance_autoresearch.host.sandbox import (
    ResourceLimits,
    end_sandboxed,
    find_system_program,
    start_sandboxed,
)
from lance_autoresearch.integrate.answers import Answer, parse_answers
from lance_autoresearch.integrate.features import find_features
from lance_autoresearch.integrate.workspace import Workspace
from lance_autoresearch.rules.policy import QUERIES
from lance_autoresearch.text.plain_text import strip_text

_ENVIRONMENT = {"LANCE_CPU_THREADS": "1", "TOKIO_WORKER_THREADS": "1", "LANCE_IO_THREADS": "1"}
MOST_OUTPUT = 64 << 20
"""Bytes of one reply; an answer of 100 rows has 2 KB."""


class ServerFault(Exception):
    """The process ended, did not answer in time, or refused what it was asked."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A library behind the hooks of one target."""

    target: str
    library: Path
    ops: tuple[str, ...] = ()
    """Only these ops; empty: all."""

    @property
    def word(self) -> str:
        """As the program takes it."""
        return f"{self.target}{':' if self.ops else ''}{','.join(self.ops)}={self.library}"


def find_place() -> tuple[int, int]:
    """The core on which such a process runs, and the CPU features that its kernels may use."""
    return list_cores()[-1], find_features()


class Server:
    """A running process; use `start_server`."""

    def __init__(self, process: Popen[bytes], errors: IO[bytes], seconds: float) -> None:
        self._process, self._errors, self._seconds = process, errors, seconds
        self._rest = b""

    @property
    def pid(self) -> int:
        """Of the sandbox; the program is its descendant."""
        return self._process.pid

    def read_line(self) -> str:
        """The next line. Raises ServerFault."""
        assert self._process.stdout is not None
        handle, ends = self._process.stdout.fileno(), time.monotonic() + self._seconds
        parts = [self._rest]
        size = len(self._rest)
        while b"\n" not in parts[-1]:
            left = ends - time.monotonic()
            if left <= 0 or not select.select([handle], [], [], left)[0]:
                raise ServerFault(f"no answer within {self._seconds:g} s")
            part = os.read(handle, 1 << 20)
            size += len(part)
            if not part or size > MOST_OUTPUT:
                raise ServerFault(self._explain_end())
            parts.append(part)
        line, _, self._rest = b"".join(parts).partition(b"\n")
        return line.decode(errors="replace")

    def ask(self, request: str) -> str:
        """One request, and the reply that begins with its secret word. Raises ServerFault."""
        assert self._process.stdin is not None
        token = secrets.token_hex(8)
        try:
            self._process.stdin.write(f"{token} {request}\n".encode())
        except OSError:
            raise ServerFault(self._explain_end()) from None
        word, _, reply = self.read_line().partition(" ")
        if word != token:
            raise ServerFault("something else than the program answered")
        if reply.startswith("error "):
            raise ServerFault(strip_text(reply.removeprefix("error "))[:400])
        return reply

    def run_queries(self, class_name: str, first: int, count: int) -> int:
        """Nanoseconds until the queries `first..first + count` were answered."""
        request = f"run {class_name} {first} {count}"
        begun = time.perf_counter_ns()
        reply = self.ask(request)
        spent = time.perf_counter_ns() - begun
        if not reply.startswith("done "):
            raise ServerFault("the reply to a run is not 'done'")
        return spent

    def read_answers(self) -> tuple[Answer, ...]:
        """Those of the last run."""
        try:
            return parse_answers(self.ask("answers"))
        except ValueError as error:
            raise ServerFault(str(error)) from None

    def read_counters(self) -> list[dict[str, Any]]:
        """Calls of each op behind a hook; the process's own word."""
        try:
            return list(json.loads(self.ask("counters")))
        except ValueError:
            raise ServerFault("its counters are no JSON") from None

    def read_peak_memory(self) -> int:
        """Bytes, the kernel's own count of the largest process below the sandbox; 0 if unknown."""
        sizes = [0]
        for pid in _list_descendants(self.pid):
            with contextlib.suppress(OSError, ValueError, IndexError):
                for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith("VmHWM:"):
                        sizes.append(int(line.split()[1]) << 10)
        return max(sizes)

    def read_cpu_seconds(self) -> float:
        """Processor time of everything below the sandbox."""
        total = 0
        for pid in _list_descendants(self.pid):
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def _explain_end(self) -> str:
        with contextlib.suppress(Exception):
            self._process.wait(timeout=2)
        self._errors.seek(0)
        text = strip_text(self._errors.read(4000).decode(errors="replace"))
        code = self._process.poll()
        return f"the process ended ({code}): {text[:400] or 'it said nothing'}"


def _list_descendants(pid: int) -> list[int]:
    """The process and all below it."""
    found, queue = [], [pid]
    while queue:
        one = queue.pop()
        found.append(one)
        with contextlib.suppress(OSError, ValueError):
            for task in Path(f"/proc/{one}/task").iterdir():
                queue += map(int, (task / "children").read_text().split())
    return found


@contextlib.contextmanager
def start_server(
    space: Workspace, classes: Sequence[str], *, hooks: Sequence[Hook] = (), core: int,
    features: int,
) -> Iterator[Server]:  # fmt: skip
    """A process that is ready for the classes; ended on the way out.

    Args:
        hooks: none: Lance's own code.
        core: the one core that it may use.
        features: CPU features that kernels may use, as a word.

    Raises:
        ServerFault: it did not get ready.
    """
    taskset = find_system_program("taskset")
    if taskset is None:
        raise MachineError("taskset is missing", next="apt-get install util-linux")
    argv = [taskset, "-c", str(core), str(space.binary), "serve", str(space.data),
            "--features", str(features)]  # fmt: skip
    for hook in hooks:
        argv += ["--hook", hook.word]
    readable = [space.binary, space.data, *(hook.library for hook in hooks)]
    scratch = Path(tempfile.mkdtemp(prefix="serve-", dir=ensure_lar_dir(space.root, "tmp")))
    limits = ResourceLimits(
        seconds=QUERIES.process_seconds, memory_bytes=QUERIES.memory_bytes, file_bytes=1 << 20
    )
    try:
        with tempfile.TemporaryFile() as errors:
            process = start_sandboxed(
                [*argv, *classes], workdir=scratch, readable=readable, env=_ENVIRONMENT,
                limits=limits, errors=errors.fileno(),
            )  # fmt: skip
            try:
                server = Server(process, errors, QUERIES.reply_seconds)
                if server.read_line() != "ready":
                    raise ServerFault("it did not say that it is ready")
                yield server
            finally:
                end_sandboxed(process)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
