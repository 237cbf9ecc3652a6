"""This machine: the checkout, the Rust toolchain, the processor, the lock, safe file writes.

    root = find_root()                 # the checkout that holds upstream.toml and targets/
    tools = Toolchain.probe(root)      # rustc >= 1.94, or an error that says what to install
    with machine_lock("exclusive"):    # first come, first served; builds take it "shared"
        measure()

Nothing here knows about kernels; everything above may use it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from lance_autoresearch.errors import MachineError, UsageError

MIN_RUST = (1, 94)
"""Lance 14.0.2 declares rust-version 1.94.0."""


FORGOTTEN_S = 3600.0
"""A scratch directory without an owner that nobody has touched for so long is nobody's."""


def find_root(start: Path | None = None) -> Path:
    """The checkout: the directory that holds `upstream.toml` and `targets/`.

    Looks at $LAR_ROOT, then upwards from `start` (default: the working directory), then
    upwards from this file. A campaign's worktree (`<root>/.lar/work/<name>`) is itself such a
    directory but never the root: everything except its kernel comes from the outer checkout.

    Raises:
        UsageError: no such directory.
    """
    if override := os.environ.get("LAR_ROOT"):
        return Path(override).resolve()
    for origin in (start or Path.cwd(), Path(__file__)):
        here = origin.resolve()
        for directory in (here, *here.parents):
            if (directory / "upstream.toml").is_file() and (directory / "targets").is_dir():
                return _outer_checkout(directory)
    raise UsageError(
        "no checkout of lance-autoresearch here",
        where=str(start or Path.cwd()),
        next="cd into the checkout, or set LAR_ROOT",
    )


def _outer_checkout(directory: Path) -> Path:
    parts = directory.parts
    for i in range(len(parts) - 2, 0, -1):
        if parts[i] == ".lar" and parts[i + 1] == "work":
            return Path(*parts[:i])
    return directory


def lar_dir(root: Path, *parts: str) -> Path:
    """`<root>/.lar/<parts>`, created when missing."""
    path = root.joinpath(".lar", *parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


def atomic_write(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write `data` so that a reader sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The Rust compiler that builds everything, resolved past rustup's proxy."""

    rustc: str
    """Absolute path of the compiler itself (not of rustup's proxy)."""
    cargo: str
    """Absolute path of cargo."""
    sysroot: str
    version: str
    """`1.95.0`"""
    verbose: str
    """All of `rustc -vV`; part of every build's key."""
    host: str
    """Target triple, e.g. `x86_64-unknown-linux-gnu`."""
    lld: str | None
    """The bundled rust-lld where rustc links with it by default, else None."""

    @property
    def digest(self) -> str:
        """Short digest of `rustc -vV`."""
        return hashlib.sha256(self.verbose.encode()).hexdigest()[:16]

    @classmethod
    def probe(cls, root: Path) -> Toolchain:
        """Find rustc and cargo as a shell in `root` would; remembered under `.lar/`.

        Raises:
            MachineError: missing or older than `MIN_RUST`.
        """
        found = shutil.which("rustc")
        if found is None:
            raise _no_rust("rustc is not on PATH")
        key = _probe_key(found)
        memo = lar_dir(root, "cache") / "toolchain.json"
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            known = json.loads(memo.read_text())
            if known["key"] == key and Path(known["tools"]["rustc"]).is_file():
                return cls(**known["tools"])
        tools = _probe(found, root)
        atomic_write(memo, json.dumps({"key": key, "tools": asdict(tools)}, indent=1).encode())
        return tools


def _probe_key(rustc: str) -> str:
    """Whatever decides which compiler `rustc` on PATH runs."""
    real = Path(rustc).resolve()
    settings = Path(os.environ.get("RUSTUP_HOME") or Path.home() / ".rustup") / "settings.toml"
    parts = [str(real), os.environ.get("RUSTUP_TOOLCHAIN", "")]
    for path in (real, settings):
        with contextlib.suppress(OSError):
            stat = path.stat()
            parts.append(f"{stat.st_mtime_ns}:{stat.st_size}")
    return "|".join(parts)


def _probe(rustc: str, root: Path) -> Toolchain:
    verbose = _ask(rustc, "-vV", cwd=root)
    sysroot = _ask(rustc, "--print", "sysroot", cwd=root).strip()
    fields = dict(re.findall(r"^(\w+): (.+)$", verbose, re.M))
    version = fields.get("release", "0.0")
    numbers = tuple(int(n) for n in re.findall(r"\d+", version)[:2])
    if numbers < MIN_RUST:
        raise _no_rust(f"rustc {version} is too old")
    own = Path(sysroot, "bin", "rustc")
    cargo = Path(sysroot, "bin", "cargo")
    beside = shutil.which("cargo")
    if not cargo.is_file() and beside is None:
        raise _no_rust("cargo is not on PATH")
    host = fields.get("host", "")
    lld = Path(sysroot, "lib", "rustlib", host, "bin", "rust-lld")
    linux = host.startswith("x86_64") and "linux" in host
    return Toolchain(
        rustc=str(own if own.is_file() else Path(rustc).resolve()),
        cargo=str(cargo if cargo.is_file() else beside),
        sysroot=sysroot,
        version=version,
        verbose=verbose,
        host=host,
        lld=str(lld) if linux and lld.is_file() else None,
    )


def _ask(*argv: str, cwd: Path) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise _no_rust(f"`rustc {' '.join(argv[1:])}` failed: {done.stderr.strip()[:300]}")
    return done.stdout


def _no_rust(what: str) -> MachineError:
    return MachineError(
        what,
        where="toolchain",
        allowed=[f"rustc and cargo {MIN_RUST[0]}.{MIN_RUST[1]} or newer"],
        next="install rustup and `rustup toolchain install stable` (Debian: apt install "
        "rustc-web cargo-web, where those are new enough)",
    )


def cores() -> list[int]:
    """Cores this process may run on, ascending."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def machine() -> dict[str, str]:
    """What kind of machine this is: cpu, kind, arch, os, cores.

    `kind` is equal on machines whose results may be compared with each other: architecture,
    vendor, family, model and the vector extensions.
    """
    arch = platform.machine()
    fields: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0].splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    cpu = fields.get("model name") or platform.processor() or arch
    flags = fields.get("flags", fields.get("Features", "")).split()
    vector = sorted(f for f in flags if re.match(r"avx|fma|bmi|gfni|vaes|asimd|sve|neon", f))
    ident = [fields.get(k, "") for k in ("vendor_id", "cpu family", "model", "CPU part")]
    digest = hashlib.sha256("|".join([arch, cpu, *ident, *vector]).encode()).hexdigest()[:8]
    slug = re.sub(r"[^a-z0-9]+", "-", cpu.lower()).strip("-")
    return {
        "cpu": cpu,
        "kind": f"{arch}-{slug}-{digest}",
        "arch": arch,
        "os": f"{platform.system()} {platform.release()}",
        "cores": str(len(cores())),
    }


def here_today(root: Path) -> str:
    """What a recorded figure says of its origin: `AMD EPYC, 2 cores, Rust 1.95.0, 2026-11-30`.

    Raises:
        MachineError: as `Toolchain.probe`.
    """
    this, rust = machine(), Toolchain.probe(root).version
    return f"{this['cpu']}, {this['cores']} cores, Rust {rust}, {time.strftime('%Y-%m-%d')}"


def scratch(root: Path, kind: str) -> Path:
    """A fresh private directory `.lar/tmp/<kind>-<pid>-...`; those of dead processes go."""
    place = lar_dir(root, "tmp")
    for old in place.glob(f"{kind}-*"):
        if not in_use(old):
            shutil.rmtree(old, ignore_errors=True)
    for old in place.glob("*/"):  # a build that was killed: a build takes a minute at most
        if not _names_owner(old) and time.time() - _changed(old) > FORGOTTEN_S:
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{kind}-{os.getpid()}-", dir=place))


def in_use(directory: Path) -> bool:
    """Whether a scratch directory names a living process as its owner."""
    return _names_owner(directory) and alive(int(directory.name.split("-")[1]))


def _names_owner(directory: Path) -> bool:
    return bool(re.fullmatch(r"[a-z]+-\d+-.*", directory.name))


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def alive(pid: int) -> bool:
    """Whether a process of that number exists, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def busy_share(core: int, seconds: float) -> float:
    """Share of a core that anyone used during the next `seconds`; 0.0 where it cannot be read."""

    def ticks() -> tuple[int, int]:
        for line in Path("/proc/stat").read_text().splitlines():
            if line.startswith(f"cpu{core} "):
                values = [int(v) for v in line.split()[1:9]]
                return sum(values), values[3] + values[4]
        return 0, 0

    try:
        total, idle = ticks()
        time.sleep(seconds)
        after, idle_after = ticks()
    except OSError:
        return 0.0
    passed = after - total
    return 1.0 - (idle_after - idle) / passed if passed else 0.0


def boot_id() -> str:
    """Names this boot of the machine: a session of measurements does not outlive it."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{platform.node()} {int((time.time() - time.monotonic()) // 10)}"


Mode = Literal["shared", "exclusive"]


class _Held(threading.local):
    """How often this thread holds the machine, by mode."""

    shared = 0
    exclusive = 0


_held = _Held()


def _lock_files() -> tuple[Path, Path]:
    """Turnstile and lock; in one place for all users of the machine, whatever their TMPDIR."""
    if override := os.environ.get("LAR_LOCK_DIR"):
        base = Path(override)
    else:
        base = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())
    return base / "lar-machine.turn", base / "lar-machine.lock"


@contextlib.contextmanager
def machine_lock(mode: Mode, *, timeout: float | None = None) -> Iterator[float]:
    """Hold the machine: `shared` to build, `exclusive` to measure. Yields seconds waited.

    First come, first served: everyone passes a turnstile first, so a waiting exclusive holder
    is not starved by newcomers that share. A thread that holds it already may take it again
    (a build inside a measurement is fine); sharing cannot be turned into exclusive.

    Raises:
        MachineError: not had within `timeout` seconds.
    """
    if _held.exclusive or (mode == "shared" and _held.shared):
        yield 0.0
        return
    if _held.shared:
        raise MachineError("the machine lock is held shared; it cannot become exclusive")
    begun = time.monotonic()
    turn_path, lock_path = _lock_files()
    with _opened(lock_path) as lock:
        with _opened(turn_path) as turn:
            _flock(turn, fcntl.LOCK_EX, begun, timeout)
            _flock(lock, fcntl.LOCK_SH if mode == "shared" else fcntl.LOCK_EX, begun, timeout)
        setattr(_held, mode, 1)
        try:
            yield time.monotonic() - begun
        finally:
            setattr(_held, mode, 0)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A descriptor of a lock file that any user of the machine may open."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield fd
    finally:
        os.close(fd)


def _flock(fd: int, how: int, begun: float, timeout: float | None) -> None:
    if timeout is None:
        fcntl.flock(fd, how)
        return
    while True:
        try:
            fcntl.flock(fd, how | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() - begun >= timeout:
                raise MachineError(
                    f"the machine is busy: another lar measures or builds (waited {timeout:g} s)",
                    next="wait for it, or look at `lar status`",
                ) from None
            time.sleep(0.01)
