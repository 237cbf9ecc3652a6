"""What this machine can and cannot do: every fault at once, each with its fix.

    findings = examine_machine(root)
    is_usable(findings)       -> False while one of them is a `fault`

A `fault` stops the work. A `weak` finding does not; its line names what is weaker: the sandbox,
the clock, the noise of the numbers. Each check tries the real thing if that is cheap (it starts
a sandbox, it pins a core) and trusts no version string.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

from lance_autoresearch.doctor.finding import Finding, State
from lance_autoresearch.doctor.sandboxes import (
    check_agent_sandbox,
    check_sandbox,
    has_user_namespaces,
)
from lance_autoresearch.errors import LarError
from lance_autoresearch.host import landlock, machine, toolchain
from lance_autoresearch.host.capabilities import (
    WeakKind,
    WeakPoint,
    find_system_root,
    list_weak_points,
)
from lance_autoresearch.host.cgroups import read_free_memory
from lance_autoresearch.host.cpu_kinds import read_processor
from lance_autoresearch.host.tier import is_narrower, read_requested_tier
from lance_autoresearch.integrate.setup import describe_readiness
from lance_autoresearch.integrate.state import SETUP

AGENTS = ("claude", "codex", "gemini", "opencode", "cursor-agent")
"""Programs `lar loop --agent` can drive, as found on PATH."""

GIB = 1 << 30
MEMORY_WANTED = 2 * GIB
"""rustc on a prelude takes about 1 GiB; the workers and their pools well under another."""
DISK_WANTED = 4 * GIB
DISK_NEEDED = 1 * GIB
"""Lance's archives, slices and builds take about 0.6 GiB; a run's blobs about as much."""

_PR_GET_TSC, _PR_SET_TSC, _PR_TSC_ENABLE = 25, 26, 1


def examine_machine(root: Path) -> list[Finding]:
    """Run every check; on an unsupported system only the first, which says so.

    Never raises for a fault it looks for.

    Raises:
        UsageError: LAR_TIER is no tier.
    """
    first = _check_platform(root)
    if first.state == "fault":
        return [first]
    points = [p for p in list_weak_points(root) if p.kind is not WeakKind.CORES]
    return [first, *(check(root) for check in CHECKS), *map(describe_weak_point, points)]


def describe_weak_point(point: WeakPoint) -> Finding:
    """What the machine lacks, as a line of the table."""
    state: State = "fault" if point.blocks else "weak"
    return Finding(str(point.kind), state, point.found, point.weaker, point.fix)


__all__ = ["CHECKS", "Finding", "build_conductor", "examine_machine", "has_user_namespaces",
           "is_usable", "landlock", "machine"]


def is_usable(findings: list[Finding]) -> bool:
    """True if trials can run here."""
    return all(f.state != "fault" for f in findings)


def _check_platform(root: Path) -> Finding:
    system, arch = platform.system(), platform.machine()
    if (system, arch) == ("Linux", "x86_64"):
        return Finding("platform", "ok", f"{system} {arch}")
    if system != "Linux":
        weaker = f"kernels are judged in a Linux sandbox, and {NAMES.get(system, system)} has none"
        return Finding("platform", "fault", f"{system} {arch}", weaker, "a Linux machine or VM")
    weaker = "developed and measured on x86-64; nothing here looks for unasked instructions"
    return Finding("platform", "weak", f"{system} {arch}", weaker)


def _check_python(root: Path) -> Finding:
    found = f"Python {platform.python_version()}"
    stale = _list_stale_packages(root)
    if stale is None:
        return Finding("environment", "weak", f"{found}, no uv.lock", "not pinned", "git status")
    if stale:
        weaker = f"other versions than locked: {', '.join(stale)}"
        return Finding("environment", "weak", found, weaker, "make setup")
    return Finding("environment", "ok", f"{found}, packages as locked")


def _list_stale_packages(root: Path) -> list[str] | None:
    """`name installed != locked` for installed packages; None without a lock."""
    import tomllib
    from importlib.metadata import distributions

    lock = root / "uv.lock"
    if not lock.exists():
        return None
    locked: dict[str, set[str]] = {}
    for row in tomllib.loads(lock.read_text()).get("package", []):
        if "version" in row:
            locked.setdefault(row["name"], set()).add(row["version"])
    out = []
    for dist in distributions():
        name = str(dist.metadata["Name"] or "").lower().replace("_", "-").replace(".", "-")
        wanted = locked.get(name)
        if wanted and dist.version not in wanted:
            out.append(f"{name} {dist.version} != {'/'.join(sorted(wanted))}")
    return sorted(out)


def _check_git(root: Path) -> Finding:
    path = shutil.which("git")
    if path is None:
        weaker = "no campaign can keep anything"
        return Finding("git", "fault", "not on PATH", weaker, "apt-get install git")
    if not (root / ".git").exists():
        weaker = "./lar start needs a git checkout, not an unpacked archive"
        return Finding("git", "weak", path, weaker, "git init && git add . && git commit")
    return Finding("git", "ok", path)


def _check_rust(root: Path) -> Finding:
    try:
        tools = toolchain.Toolchain.probe(root)
    except LarError as error:
        return Finding("rust", "fault", error.what, "nothing can be built", error.next or "")
    return Finding("rust", "ok", f"rustc {tools.version} ({tools.host})")


def _check_linker(root: Path) -> Finding:
    if shutil.which("cc") is None:
        fix = "apt-get install gcc libc6-dev"
        return Finding("linker", "fault", "no cc on PATH", "rustc cannot link", fix)
    with contextlib.suppress(LarError):
        if toolchain.Toolchain.probe(root).lld:
            return Finding("linker", "ok", "rust-lld")
    weaker = "confirmation varies the layout by padding only, not by section order"
    return Finding("linker", "weak", "cc, without rust-lld", weaker, "a rustup toolchain has it")


def _check_tsc(root: Path) -> Finding:
    if platform.machine() != "x86_64" or platform.system() != "Linux":
        weaker = "a kernel could read the clock; the gate's other defences stand"
        return Finding("clock fence", "weak", "PR_SET_TSC is x86 Linux only", weaker)
    prctl = ctypes.CDLL(None).prctl
    mode = ctypes.c_int(0)
    got = prctl(_PR_GET_TSC, ctypes.byref(mode), 0, 0, 0)
    if got == 0 and prctl(_PR_SET_TSC, _PR_TSC_ENABLE, 0, 0, 0) == 0:
        return Finding("clock fence", "ok", "PR_SET_TSC works: rdtsc in a kernel is fatal")
    weaker = "a kernel could read the clock; the gate's other defences stand"
    return Finding("clock fence", "weak", "PR_SET_TSC refused", weaker, "run outside gVisor")


def _check_cores(root: Path) -> Finding:
    mine = machine.list_cores()
    if len(mine) < 2:
        weaker = "the conductor and the kernel need a core each"
        return Finding("cores", "fault", f"{len(mine)} core", weaker, "give it two cores")
    if not hasattr(os, "sched_setaffinity"):
        weaker = "threads wander between cores: noisier numbers, more pairs for a verdict"
        return Finding("cores", "weak", f"{len(mine)} cores, no pinning", weaker)
    try:
        os.sched_setaffinity(0, {mine[-1]})
    except OSError as error:
        weaker = "noisier numbers, more pairs for a verdict"
        return Finding("cores", "weak", f"pinning refused: {error.strerror}", weaker)
    finally:
        os.sched_setaffinity(0, set(mine))
    load = os.getloadavg()[0]
    if load > 1.5:
        weaker = "others use this machine now: more void pairs, slower verdicts"
        found = f"{len(mine)} cores, load {load:.1f}"
        return Finding("cores", "weak", found, weaker, "wait for them")
    return Finding("cores", "ok", f"{len(mine)} cores, pinning works")


def _check_cpu(root: Path) -> Finding:
    """The CPU kind; figures belong to it. The text names what a hypervisor or LAR_TIER hides."""
    processor, this = read_processor(core=machine.list_cores()[-1]), machine.describe_machine()
    found = f"{this['cpu_kind']} ({this['cpu']})"
    if platform.machine() == "x86_64" and processor.level == "v2":
        weaker = "kernels are built for Haswell or newer, as Lance ships them"
        return Finding("processor", "fault", f"{found}: no AVX2 or FMA", weaker, "a newer machine")
    if is_narrower(processor):
        tier = read_requested_tier()
        weaker = f"LAR_TIER={tier} is in force: kernels see no more; figures count for it alone"
        return Finding("processor", "weak", found, weaker, "unset LAR_TIER")
    if processor.kind != (processor.microarchitecture or processor.numbers):
        weaker = f"the hypervisor shows {processor.level} only: wider kernels cannot be tried here"
        return Finding("processor", "weak", found, weaker, "another host or CPU model of the VM")
    if processor.level == "avx2":
        return Finding("processor", "ok", f"{found}: AVX2", "AVX-512 kernels cannot be tried here")
    wide = {"avx512": ": AVX2, AVX-512", "avx512vbmi": ": AVX2, AVX-512 with VBMI"}
    return Finding("processor", "ok", found + wide.get(processor.level, ""))


def _read_cpu_flags() -> list[str]:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("flags"):
                return line.partition(":")[2].split()
    return []


def _check_clock(root: Path) -> Finding:
    if platform.machine() != "x86_64" or platform.system() != "Linux":
        return Finding("clock", "ok", "the architecture's own counter")
    flags = _read_cpu_flags()
    lacking = [f for f in ("constant_tsc", "nonstop_tsc") if f not in flags]
    if lacking:
        weaker = "ticks are not time: gains may be off where the frequency changes"
        return Finding("clock", "weak", f"no {', '.join(lacking)}", weaker)
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    with contextlib.suppress(OSError):
        if (mode := governor.read_text().strip()) != "performance":
            weaker = "the frequency moves while measuring: more pairs for a verdict"
            return Finding(
                "clock",
                "weak",
                f"steady; governor {mode}",
                weaker,
                "cpupower frequency-set -g performance",
            )
    return Finding("clock", "ok", "constant_tsc, nonstop_tsc")


def _check_memory(root: Path) -> Finding:
    free = _measure_free_memory()
    found = f"{free / GIB:.1f} GiB free"
    if free < MEMORY_WANTED:
        weaker = "rustc or a worker may be killed, which ends a trial as inconclusive"
        return Finding("memory", "weak", found, weaker, f"free {MEMORY_WANTED / GIB:.0f} GiB")
    return Finding("memory", "ok", found)


def _measure_free_memory() -> int:
    """Bytes this process may still use: the system's, or its control group's if less."""
    free, system = 1 << 62, find_system_root()
    with contextlib.suppress(OSError):
        for line in (system / "proc" / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) << 10
    if (limit := read_free_memory(system)) is not None:
        free = min(free, limit)
    if free == 1 << 62:
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return free


def _check_disk(root: Path) -> Finding:
    place = root / ".lar" if (root / ".lar").is_dir() else root
    free = shutil.disk_usage(place).free
    found = f"{free / GIB:.1f} GiB free where .lar lies"
    if free < DISK_NEEDED:
        return Finding("disk", "fault", found, "builds will fail", "./lar gc, or free some space")
    if free < DISK_WANTED:
        return Finding("disk", "weak", found, "a long campaign may fill it", "./lar gc")
    return Finding("disk", "ok", found)


def _check_upstream(root: Path) -> Finding:
    import tomllib

    nothing = "there is nothing to compare a kernel with"
    lock = root / "upstream.lock"
    if not lock.exists():
        fix = "git checkout upstream.lock, or ./lar upstream pin"
        return Finding("upstream", "fault", "no upstream.lock", nothing, fix)
    data = tomllib.loads(lock.read_text())
    version, crates = str(data.get("version", "?")), sorted(data.get("archives", {}))
    base = root / ".lar" / "upstream" / version
    lacking = [c for c in crates if not (base / c).is_dir()]
    if lacking:
        fix = "./lar upstream fetch (asks the crates registry once, or cargo's cache)"
        missing = f"not fetched: {', '.join(lacking)}"
        return Finding("upstream", "fault", f"Lance {version}, {missing}", nothing, fix)
    return Finding("upstream", "ok", f"Lance {version}, {len(crates)} crates; no network needed")


def _check_conductor(root: Path) -> Finding:
    program = root / ".lar" / "bin" / "lar-conductor"
    if not os.access(program, os.X_OK):
        fix = "./lar doctor --build"
        return Finding("conductor", "fault", "not built", "nothing can be measured", fix)
    newest = max(
        (p.stat().st_mtime for p in (root / "rust").rglob("*.rs") if "target" not in p.parts),
        default=0.0,
    )
    if newest > program.stat().st_mtime:
        weaker = "its source changed since; it is rebuilt before the next trial"
        return Finding(
            "conductor", "weak", "built, older than its source", weaker, "./lar doctor --build"
        )
    return Finding("conductor", "ok", "built")


def _check_agents(root: Path) -> Finding:
    found = [name for name in AGENTS if shutil.which(name)]
    if not found:
        weaker = "./lar loop drives itself with `rewrite` and `replay`, which need no account"
        return Finding("agents", "ok", "none on PATH", weaker)
    return Finding("agents", "ok", ", ".join(found))


NAMES = {"Darwin": "macOS"}
"""Systems whose name for people differs from what they call themselves."""

def _check_integration(root: Path) -> Finding:
    ready, found = describe_readiness(root)
    if ready:
        return Finding("integration", "ok", found)
    return Finding("integration", "weak", found, "no end-to-end verdict", SETUP)


CHECKS: tuple[Callable[[Path], Finding], ...] = (
    _check_python,
    _check_git,
    _check_rust,
    _check_linker,
    check_sandbox,
    check_agent_sandbox,
    _check_tsc,
    _check_cores,
    _check_cpu,
    _check_clock,
    _check_memory,
    _check_disk,
    _check_upstream,
    _check_conductor,
    _check_agents,
    _check_integration,
)


def build_conductor(root: Path) -> float:
    """Build conductor and worker if their source changed. Returns seconds taken.

    Raises:
        BuildFault: they do not compile here.
    """
    import time

    from lance_autoresearch.bench.conductor import ensure_built

    begun = time.monotonic()
    ensure_built(root)
    return time.monotonic() - begun
