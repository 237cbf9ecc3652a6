"""What this machine cannot give, found out and not assumed.

    list_weak_points(root)     every one, with its fix
    require_fit(root)          MachineError if a trial could not be trusted here

What can be tried is tried (a system call in a child, the agent's sandbox); the rest is read
below a root that LAR_SYSTEM_ROOT sets, so that tests read recorded machines.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lance_autoresearch.errors import MachineError
from lance_autoresearch.host.cgroups import read_cpu_quota
from lance_autoresearch.host.cores import Cores, choose_cores
from lance_autoresearch.host.machine import list_cores

SYSTEM_ROOT = "LAR_SYSTEM_ROOT"
"""Environment variable: read `/proc` and `/sys` below this directory."""
LEAST_FILES = 256
"""Descriptors of a trial: pools, their answers and libraries in three processes."""
LEAST_FILE_BYTES = 256 << 20
"""Pools and libraries are files of up to this size."""
LEAST_FREE_BYTES = 64 << 20
"""One trial's builds and pools."""
NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "fuse.sshfs"})
STEADY = ("", "tsc", "kvm-clock", "hyperv_clocksource_tsc_page")
"""Clock sources that follow the processor's counter; empty: the system does not say."""
_NO_RANDOMIZE = 0x0040000
_KEEP = 0xFFFFFFFF


class WeakKind(StrEnum):
    """What a machine may lack; rows of trials name these."""

    CORES = "cores"
    DESCRIPTORS = "descriptors"
    FILE_SIZE = "file-size"
    DISK = "disk-full"
    NOEXEC = "noexec"
    NETWORK_DISK = "network-disk"
    RANDOMISED = "random-addresses"
    QUOTA = "cpu-quota"
    SIBLING = "smt-sibling"
    SLOW_CORE = "efficiency-core"
    CLOCK = "clock-source"
    OVERCOMMIT = "overcommit"
    MEMFD = "memfd"


BLOCKING = frozenset({
    WeakKind.CORES, WeakKind.DESCRIPTORS, WeakKind.FILE_SIZE, WeakKind.DISK, WeakKind.NOEXEC,
    WeakKind.MEMFD,
})  # fmt: skip
"""With one of these a verdict would be about the machine, so no trial begins."""


@dataclass(frozen=True, slots=True)
class WeakPoint:
    """One thing that this machine cannot give."""

    kind: WeakKind
    found: str
    weaker: str
    """What does not work, or is less certain, because of it."""
    fix: str
    """The line to type, or the setting to change."""

    @property
    def blocks(self) -> bool:
        """Whether a trial could not be trusted here."""
        return self.kind in BLOCKING


def find_system_root() -> Path:
    """Where `proc/` and `sys/` are read."""
    return Path(os.environ.get(SYSTEM_ROOT) or "/")


def find_cores() -> Cores:
    """The cores to measure on and to conduct from."""
    return choose_cores(find_system_root(), list_cores())


def list_weak_points(root: Path) -> list[WeakPoint]:
    """All of them, of the machine, this process's limits and the disk of `.lar`.

    Args:
        root: the checkout.
    """
    system = find_system_root()
    place = root / ".lar" if (root / ".lar").is_dir() else root
    found = [probe(system, place) for probe in PROBES]
    return [point for point in found if point is not None]


def require_fit(root: Path) -> list[WeakPoint]:
    """The weak points that a trial can live with.

    Raises:
        MachineError: one of them makes a trial worthless; the error names its fix.
    """
    found = list_weak_points(root)
    for point in found:
        if point.blocks:
            raise MachineError(f"{point.found}: {point.weaker}", where=str(point.kind),
                               next=point.fix)
    return found


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text().strip()
    return ""


def _find_few_cores(system: Path, place: Path) -> WeakPoint | None:
    count = len(list_cores())
    if count >= 2:
        return None
    return WeakPoint(WeakKind.CORES, f"{count} core", "the conductor and the kernel need one each",
                     "give it two cores (taskset, docker --cpuset-cpus, the VM's settings)")


def _find_few_descriptors(system: Path, place: Path) -> WeakPoint | None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < LEAST_FILES <= hard or (soft < LEAST_FILES and hard == resource.RLIM_INFINITY):
        resource.setrlimit(resource.RLIMIT_NOFILE, (LEAST_FILES, hard))
        return None
    if soft >= LEAST_FILES or soft == resource.RLIM_INFINITY:
        return None
    return WeakPoint(WeakKind.DESCRIPTORS, f"at most {soft} open files (ulimit -n)",
                     f"a trial needs up to {LEAST_FILES}", "ulimit -n 1024, in a new shell")


def _find_small_files(system: Path, place: Path) -> WeakPoint | None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit == resource.RLIM_INFINITY or limit >= LEAST_FILE_BYTES:
        return None
    return WeakPoint(WeakKind.FILE_SIZE, f"files of at most {limit} bytes (ulimit -f)",
                     "libraries, pools and the ledger become longer", "ulimit -f unlimited")


def _find_full_disk(system: Path, place: Path) -> WeakPoint | None:
    for part in (place, place / "tmp", place / "cache"):
        if part.is_dir() and (free := shutil.disk_usage(part).free) < LEAST_FREE_BYTES:
            return WeakPoint(WeakKind.DISK, f"{free / 1e6:.1f} MB free in {part}",
                             "no kernel can be built", "./lar gc, or free some space")
    return None


def _find_noexec(system: Path, place: Path) -> WeakPoint | None:
    if not os.statvfs(place).f_flag & os.ST_NOEXEC:
        return None
    return WeakPoint(WeakKind.NOEXEC, f"{place} is mounted noexec",
                     "no kernel can be loaded from there", "mount it with exec, or move the clone")


def _find_network_disk(system: Path, place: Path) -> WeakPoint | None:
    kind = find_file_system(system, place)
    if kind not in NETWORK:
        return None
    return WeakPoint(WeakKind.NETWORK_DISK, f".lar lies on {kind}",
                     "the ledger's locks may fail if two machines use it", "clone to a local disk")


def find_file_system(system: Path, place: Path) -> str:
    """Type of the file system of a directory, as /proc/self/mountinfo says; empty if unknown."""
    best, kind = -1, ""
    for line in _read(system / "proc" / "self" / "mountinfo").splitlines():
        head, _, tail = line.partition(" - ")
        point = Path(head.split(" ")[4].encode().decode("unicode_escape"))
        if place.resolve().is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), tail.split(" ")[0]
    return kind


def _find_random_addresses(system: Path, place: Path) -> WeakPoint | None:
    if platform.system() != "Linux" or not is_personality_refused():
        return None
    return WeakPoint(
        WeakKind.RANDOMISED, "the system call personality is refused",
        "addresses stay random: noisier times, more pairs for a verdict",
        "docker run --security-opt seccomp=unconfined, or a profile that allows personality",
    )


def is_personality_refused() -> bool:
    """Whether address randomisation cannot be switched off; tried in a child that ends at once."""
    call = ctypes.CDLL(None, use_errno=True).personality
    child = os.fork()
    if child == 0:
        before = call(ctypes.c_ulong(_KEEP))
        done = before >= 0 and call(ctypes.c_ulong(before | _NO_RANDOMIZE)) >= 0
        os._exit(0 if done and call(ctypes.c_ulong(_KEEP)) & _NO_RANDOMIZE else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def _find_quota(system: Path, place: Path) -> WeakPoint | None:
    quota = read_cpu_quota(system)
    if quota is None or quota >= 2.0:
        return None
    return WeakPoint(
        WeakKind.QUOTA, f"a CPU quota of {quota:g} cores (control group)",
        "processes are stopped in mid-measurement: more void pairs, inconclusive trials",
        "docker run --cpus 2 or more; systemd: CPUQuota=; better --cpuset-cpus",
    )


def _find_sibling(system: Path, place: Path) -> WeakPoint | None:
    cores = choose_cores(system, list_cores())
    if cores.sibling is None:
        return None
    return WeakPoint(
        WeakKind.SIBLING, f"core {cores.measuring} shares its units with core {cores.sibling}",
        "work on the sibling makes times noisier",
        f"echo 0 > /sys/devices/system/cpu/cpu{cores.sibling}/online, as root, while measuring",
    )


def _find_slow_core(system: Path, place: Path) -> WeakPoint | None:
    if not choose_cores(system, list_cores()).slow:
        return None
    return WeakPoint(WeakKind.SLOW_CORE, "only efficiency cores may be used here",
                     "figures are those of the slow cores", "taskset with a performance core")


def _find_clock_source(system: Path, place: Path) -> WeakPoint | None:
    place = system / "sys/devices/system/clocksource/clocksource0/current_clocksource"
    source = _read(place)
    if platform.machine() != "x86_64" or source in STEADY:
        return None
    return WeakPoint(
        WeakKind.CLOCK, f"the clock source is {source}, not tsc",
        "the kernel holds the processor's counter for unsteady: gains may be off",
        "look at dmesg for tsc; kernel parameter tsc=reliable if the counters are known to agree",
    )


def _find_overcommit(system: Path, place: Path) -> WeakPoint | None:
    if _read(system / "proc" / "sys" / "vm" / "overcommit_memory") != "2":
        return None
    return WeakPoint(WeakKind.OVERCOMMIT, "vm.overcommit_memory is 2",
                     "address space counts as memory: workers or rustc may be refused theirs",
                     "sysctl vm.overcommit_memory=0, as root")


def _find_memfd_rule(system: Path, place: Path) -> WeakPoint | None:
    if _read(system / "proc" / "sys" / "vm" / "memfd_noexec") != "2":
        return None
    return WeakPoint(WeakKind.MEMFD, "vm.memfd_noexec is 2",
                     "workers cannot share memory", "sysctl vm.memfd_noexec=0, as root")


PROBES: tuple[Callable[[Path, Path], WeakPoint | None], ...] = (
    _find_few_cores, _find_few_descriptors, _find_small_files, _find_full_disk, _find_noexec,
    _find_network_disk, _find_random_addresses, _find_quota, _find_sibling, _find_slow_core,
    _find_clock_source, _find_overcommit, _find_memfd_rule,
)
