"""The conductor's client: builds the measuring programs, starts one, speaks its lines.

    with Conductor(root) as conductor:
        conductor.write_expected(upstream_so, pool, expected)
        conductor.check_pools(kernel_so, [(pool, expected)], seed=7)  -> CheckResult
        conductor.measure_pair(champion_so, kernel_so, [(pool, expected)], seed=8)  -> PairResult

One JSON object a line each way, version 1. Everything that a kernel's process could have
written is bounded and stripped of control characters before it leaves this module.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Self

from lance_autoresearch.bench.tiers import apply_limit
from lance_autoresearch.errors import BuildFault, LarError, MachineError
from lance_autoresearch.host import sandbox
from lance_autoresearch.host.sandbox import SYSTEM_PATH
from lance_autoresearch.records import Fault, FaultKind, PairTimes, Void, VoidCause
from lance_autoresearch.rules.policy import DEFAULT, LIMITS, MeasuringLimits
from lance_autoresearch.text.plain_text import strip_text

VERSION = 1
"""Version of every line; the conductor refuses any other."""
TEXT_LIMIT = 1024
"""Characters kept of a text that a worker may have written."""
PROGRAMS = ("lar-conductor", "lar-worker")

PoolPair = tuple[Path, Path]
"""A pool file and the file of upstream's outputs for it."""


class FailureCode(StrEnum):
    """The conductor could not carry out a command: `code` of its answer says why."""

    BAD_COMMAND = "bad-command"
    NOT_OPEN = "not-open"
    BAD_FILE = "bad-file"
    NO_SANDBOX = "no-sandbox"
    SANDBOX_GONE = "sandbox-gone"
    """The process that starts workers has ended."""
    DISTURBED = "disturbed"
    """Other processes disturbed a command that is no pair."""
    SYSTEM = "system"
    GARBLED = "garbled"
    """There was no valid answer: the client sets this code."""


LOST = frozenset({FailureCode.SANDBOX_GONE, FailureCode.GARBLED})
"""After one of these codes the running program can measure nothing more."""


@dataclass(frozen=True, slots=True)
class ConductorInfo:
    """What the conductor found when it opened its sandbox."""

    box: str
    """bwrap, landlock or none."""
    ticks_per_ns: float
    """Rate of the conductor's clock."""
    features: int
    """CPU features that kernels may use, as bits of the shim's features word."""
    notes: tuple[str, ...]
    """Weaknesses of the sandbox, in words."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Every call ran once; `fault` is the first fault, or None."""

    calls: int
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class ExpectResult:
    """Upstream's outputs were written, or upstream itself is at fault."""

    ns_per_call: tuple[float, ...]
    """One rough time a call: a single cold run each."""
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class PairResult:
    """One process pair. `times` is None if a fault ended the pair or it was void at the start."""

    times: PairTimes | None
    fault: Fault | None
    void: Void | None
    wall_ms: float
    foreign_cpu: float
    """Share of the measuring core that other processes used."""
    arm_ns: tuple[float, float]
    """Median time from arm to ready: champion, candidate."""
    peak_kib: tuple[int, int]
    """Peak resident memory of the two processes."""
    overhead: dict[str, float] = field(default_factory=dict)
    """start_ms, ready_ms, slices, late (slices whose end may have been seen late)."""


def hash_sources(root: Path) -> str:
    """sha256 over the names and bytes of everything under `rust/` but build products."""
    digest = hashlib.sha256()
    base = root / "rust"
    tops = sorted(p for p in base.iterdir() if p.name != "target")
    inner = (sorted(p.rglob("*")) if p.is_dir() else [p] for p in tops)
    for path in (p for group in inner for p in group if p.is_file()):
        name = path.relative_to(base).as_posix()
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def ensure_built(root: Path) -> Path:
    """Build conductor and worker if their sources changed; returns `.lar/bin`.

    Raises BuildFault if cargo is missing or the build fails.
    """
    bin_dir = root / ".lar" / "bin"
    stamp = bin_dir / "rust.digest"
    digest = hash_sources(root)
    built = all((bin_dir / name).is_file() for name in PROGRAMS)
    if built and stamp.is_file() and stamp.read_text() == digest:
        return bin_dir
    cargo = shutil.which("cargo")
    if cargo is None:
        raise BuildFault("cargo is not on PATH; the measuring programs cannot be built",
                         next="lar doctor")
    target = root / ".lar" / "cache" / "rust-target"
    command = [cargo, "build", "--release", "--locked", "--target-dir", str(target)]
    done = subprocess.run(command, cwd=root / "rust", capture_output=True, text=True, check=False,
                          env=_clean_environment())
    if done.returncode != 0:
        raise BuildFault(f"the measuring programs did not build:\n{done.stderr[-4000:]}",
                         where="rust/", next="cargo build --release  (in rust/)")
    bin_dir.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        _replace_file(target / "release" / name, bin_dir / name)
    stamp.write_text(digest)
    return bin_dir


def _clean_environment() -> dict[str, str]:
    """The caller's environment without what would change how cargo and rustc build.

    Flags and wrappers that stand in a configuration file of cargo yield to these variables; where
    it looks for crates is left to the file.
    """
    ours = {"CARGO_ENCODED_RUSTFLAGS": "", "RUSTC_WRAPPER": "", "RUSTC_WORKSPACE_WRAPPER": "",
            "CARGO_PROFILE_RELEASE_OPT_LEVEL": "3", "CARGO_PROFILE_RELEASE_PANIC": "abort"}
    steering = ("RUSTC", "RUSTFLAGS", "CARGO_BUILD", "CARGO_ENCODED", "CARGO_TARGET",
                "CARGO_PROFILE", "LD_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    return env | ours


def _replace_file(source: Path, to: Path) -> None:
    """Copy so that a program already running keeps its old file."""
    part = to.with_name(f".{to.name}.{os.getpid()}")
    shutil.copy2(source, part)
    part.replace(to)


ONCE_S = 60.0
"""Seconds that `audit`, `admit` and `tokens` may take: they need milliseconds."""


def ask_once(root: Path, words: Sequence[str], *, stdin: bytes = b"") -> dict[str, Any]:
    """Run a subcommand of the conductor that answers with one JSON object and ends.

    Raises:
        MachineError: it did not run, or did not answer; the text it read is not to blame.
        BuildFault: it refused its arguments.
    """
    command = [str(ensure_built(root) / "lar-conductor"), *words]
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, check=False, timeout=ONCE_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MachineError(f"the trusted program could not run: {error}", where=words[0],
                           next="lar doctor") from error
    report = _parse_object(done.stdout.decode("utf-8", "replace"))
    if report.get("ok") is True:
        return report
    detail = clean_text(str(report.get("error")))
    if done.returncode != 70:
        raise MachineError(f"the trusted program ended with status {done.returncode}: {detail}",
                           where=words[0], next="lar doctor")
    raise BuildFault(detail, where=words[0])


def audit_object(root: Path, obj: Path, lib: Path | None = None) -> dict[str, Any]:
    """`lar-conductor audit`: undefined symbols, sections, exports, text_bytes of an object."""
    return ask_once(root, ["audit", str(obj), *(["--lib", str(lib)] if lib is not None else [])])


def measure_overhead(
    root: Path, *, seconds: float, load: str | None = None, limits: MeasuringLimits = LIMITS
) -> dict[str, Any]:
    """`lar-conductor selftest`: what a slice costs when the kernel does nothing.

    Args:
        seconds: how long it runs.
        load: `conductor` or `worker` keeps that one's core busy.

    Returns:
        {"slices", "box", "load", "go_done_ns": {"p1", "p50", "p99", "max"}, "arm_ready_ns": {...}}.
    """
    command = [str(ensure_built(root) / "lar-conductor"), "selftest",
               "--limits", json.dumps(asdict(limits)), "--seconds", str(seconds)]
    command += ["--load", load] if load else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = _parse_object(done.stdout)
    if report.get("ok") is not True:
        raise MachineError(f"conductor: {clean_text(str(report.get('error')))}", where="selftest",
                           next="lar doctor")
    return report


def clean_text(text: str) -> str:
    """Untrusted text, stripped to one line of at most TEXT_LIMIT characters."""
    return strip_text(text, TEXT_LIMIT)


class Conductor:
    """One running conductor with its sandbox open. Two threads must not use it at once."""

    def __init__(
        self,
        root: Path,
        *,
        limits: MeasuringLimits = LIMITS,
        box: str | None = None,
        core_a: int = 1,
        core_b: int = 0,
        bin_dir: Path | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            limits: the numbers by which the conductor voids a pair or finds a kernel at fault.
            box: bwrap, landlock or none; None takes the strongest that works here.
            core_a: where kernels run.
            core_b: where the conductor runs.
            bin_dir: programs to use in place of those built from `rust/`.
        """
        self._root = root
        self._bin = bin_dir
        self._limits = limits
        self._open = {
            "box": box or sandbox.choose_sandbox(landlocked=True),
            "core_a": core_a,
            "core_b": core_b,
            "limits": asdict(limits),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self.opened: ConductorInfo | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> ConductorInfo:
        """Start the program and open its sandbox. Raises MachineError if that fails."""
        bin_dir = self._bin or ensure_built(self._root)
        self._rest = b""
        self._process = subprocess.Popen(
            [str(bin_dir / "lar-conductor"), "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # The program inherits neither LD_PRELOAD nor a false bwrap in front of PATH.
            env={"PATH": f"{SYSTEM_PATH}:{os.environ.get('PATH', '')}"},
        )
        try:
            answer = self._send_command(
                {"cmd": "open", "worker": str(bin_dir / "lar-worker"), **self._open}
            )
        except LarError:
            self.close()
            raise
        self.opened = ConductorInfo(
            box=str(answer["box"]),
            ticks_per_ns=float(answer["ticks_per_ns"]),
            features=apply_limit(int(answer["features"])),
            notes=tuple(str(n) for n in answer["notes"]),
        )
        return self.opened

    def ensure_running(self) -> None:
        """Start the program again if it, or its sandbox with all workers, has ended."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self.start()

    @property
    def pid(self) -> int | None:
        """Process id of the running program."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """End the program; its workers end with it."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def write_expected(self, lib: Path, pool: Path, expected: Path) -> ExpectResult:
        """Run upstream's library on every call of `pool` and write its outputs to `expected`."""
        command = {"cmd": "expect", "lib": str(lib), "pool": str(pool), "expected": str(expected)}
        answer = self._send_command(command, patience=120.0)
        times = tuple(map(float, answer.get("ns_per_call", ())))
        return ExpectResult(ns_per_call=times, fault=_parse_fault(answer.get("fault")))

    def check_pools(
        self, lib: Path, pools: Sequence[PoolPair], *, seed: int, features: int | None = None
    ) -> CheckResult:
        """Every call once, inputs and outputs flush at unmapped pages, on the tier asked for."""
        answer = self._send_command(
            {
                "cmd": "check",
                "lib": str(lib),
                "pools": _list_paths(pools),
                "seed": seed,
                "features": self._compute_limit(features),
            },
            patience=120.0,
        )
        return CheckResult(
            calls=int(answer.get("calls", 0)), fault=_parse_fault(answer.get("fault"))
        )

    def measure_pair(
        self,
        champion: Path,
        candidate: Path,
        pools: Sequence[PoolPair],
        *,
        seed: int,
        rounds: int = DEFAULT.rounds,
        slice_us: float = DEFAULT.slice_us,
        calls: Sequence[int] | None = None,
        block_ms: float | None = None,
        orders: Sequence[Sequence[int]] | None = None,
        features: int | None = None,
        opponent: Path | None = None,
        drawn: bool = False,
    ) -> PairResult:
        """Measure one process pair; `calls` are those of an earlier pair, None to calibrate again.

        `orders`: the calls of each pool in the order in which they are played; the first warms up.
        `features` forces a tier on both sides. `opponent`: both times are one champion process's:
        behind this library (as `champion`) and behind the candidate (as `candidate`). `drawn`:
        where inputs and outputs begin in a line is drawn, the same on both sides.
        """
        command = {
            "cmd": "pair", "champion": str(champion), "candidate": str(candidate),
            "pools": _list_paths(pools), "seed": seed, "rounds": rounds, "slice_us": slice_us,
            "calls": None if calls is None else list(calls), "block_ms": block_ms,
            "orders": None if orders is None else [list(order) for order in orders],
            "features": self._compute_limit(features),
            "opponent": None if opponent is None else str(opponent), "drawn": drawn,
        }
        return _parse_pair_result(self._send_command(command, patience=120.0))

    def _compute_limit(self, features: int | None) -> int | None:
        """The CPU features of a worker: those asked for that may be used here."""
        wanted = -1 if features is None else features
        return wanted & self.opened.features if self.opened else features

    def _send_command(self, command: dict[str, Any], patience: float = 30.0) -> dict[str, Any]:
        """One line out, one line in. Raises MachineError on anything but an answer."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise MachineError("the conductor is not running", next="lar doctor")
        line = json.dumps({"v": VERSION, **command}) + "\n"
        try:
            process.stdin.write(line.encode())
            process.stdin.flush()
            reply = self._read_line(process.stdout, patience + self._limits.call_ms / 1000)
        except (OSError, TimeoutError) as error:
            self.close()
            raise MachineError(f"the conductor was lost: {error}", where=command["cmd"],
                               next="lar doctor") from error
        answer = _parse_object(reply)
        if answer.get("v") != VERSION or "error" in answer:
            if _parse_failure_code(answer) in LOST:
                self.close()
            raise MachineError(f"conductor: {clean_text(str(answer.get('error', reply)))}",
                               where=command["cmd"], next="lar doctor")
        return answer

    def _read_line(self, stream: IO[bytes], patience: float) -> str:
        """The next line of output. Raises TimeoutError or OSError."""
        end = time.monotonic() + patience
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                if not selector.select(max(0.0, end - time.monotonic())):
                    raise TimeoutError(f"no answer in {patience:.0f} s")
                data = os.read(stream.fileno(), 1 << 20)
                if not data:
                    raise OSError("it ended")
                self._rest += data
        line, self._rest = self._rest.split(b"\n", 1)
        return line.decode(errors="replace")


def _parse_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"error": f"a garbled answer: {text[:200]!r}"}


def _parse_failure_code(answer: dict[str, Any]) -> FailureCode:
    try:
        return FailureCode(answer.get("code", FailureCode.GARBLED))
    except ValueError:
        return FailureCode.GARBLED


def _list_paths(pools: Sequence[PoolPair]) -> list[list[str]]:
    return [[str(pool), str(expected)] for pool, expected in pools]


def _parse_fault(data: dict[str, Any] | None) -> Fault | None:
    """A fault from its JSON; texts cleaned."""
    if data is None:
        return None
    note, syscall = data.get("note"), data.get("syscall")
    return Fault(
        kind=FaultKind(data["kind"]),
        combo=str(data["combo"]),
        call=int(data["call"]),
        part=int(data["part"]),
        offset=int(data["offset"]),
        differs=int(data["differs"]),
        total=int(data["total"]),
        got=bytes.fromhex(data["got_hex"]),
        want=bytes.fromhex(data["expected_hex"]),
        note=None if note is None else clean_text(str(note)),
        signal=data.get("signal"),
        syscall=None if syscall is None else clean_text(str(syscall)),
        side=str(data["side"]),
    )


def _parse_ticks(rows: list[list[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(row) for row in rows)


def _parse_void(data: dict[str, str] | None) -> Void | None:
    return None if data is None else Void(VoidCause(data["cause"]), clean_text(data["detail"]))


def _parse_pair_result(answer: dict[str, Any]) -> PairResult:
    fault, void = _parse_fault(answer.get("fault")), _parse_void(answer.get("void"))
    times = None
    if fault is None and answer["calls"]:
        champion_empty, candidate_empty = answer["empty"]
        times = PairTimes(
            calls=tuple(answer["calls"]),
            champion=_parse_ticks(answer["champion"]),
            candidate=_parse_ticks(answer["candidate"]),
            empty=(champion_empty, candidate_empty),
            void=void,
        )
    a, b = answer["arm"]
    peak_a, peak_b = answer["peak_kib"]
    return PairResult(
        times=times, fault=fault, void=void, wall_ms=float(answer["wall_ms"]),
        foreign_cpu=float(answer["foreign_cpu"][0]), arm_ns=(float(a), float(b)),
        peak_kib=(int(peak_a), int(peak_b)), overhead=dict(answer["overhead"]),
    )
