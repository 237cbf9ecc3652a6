"""The processor, its cores, this boot: the origin of a figure."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import time
from pathlib import Path

from lance_autoresearch.host.cpu_kinds import Processor, read_processor
from lance_autoresearch.host.tier import is_narrower, name_visible_kind, read_requested_tier
from lance_autoresearch.host.toolchain import Toolchain


def list_cores() -> list[int]:
    """Cores this process may run on, ascending."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def describe_machine(root: Path = Path("/")) -> dict[str, str]:
    """What kind of machine this is: cpu, cpu_kind, kind, arch, os, cores.

    `cpu_kind` is the short name that tables show (`zen3`). `kind` is equal on machines that may
    answer for each other from memory: architecture, processor and every vector extension. Both
    end in the tier if LAR_TIER takes features away (`zen4@avx2`).

    Args:
        root: where `proc/cpuinfo` is read.

    Raises:
        UsageError: LAR_TIER is no tier.
    """
    arch = platform.machine()
    processor = read_processor(root, core=list_cores()[-1])
    cpu = processor.brand or platform.processor() or arch
    limit = f"@{read_requested_tier()}" if is_narrower(processor) else ""
    slug = re.sub(r"[^a-z0-9]+", "-", cpu.lower()).strip("-")
    return {
        "cpu": cpu,
        "cpu_kind": name_visible_kind(processor),
        "kind": f"{arch}-{slug}-{_hash_processor(arch, cpu, processor)}{limit}",
        "arch": arch,
        "os": f"{platform.system()} {platform.release()}",
        "cores": str(len(list_cores())),
    }


def _hash_processor(arch: str, cpu: str, processor: Processor) -> str:
    """Over everything that can change which instructions a kernel may use, and how fast."""
    vector = sorted(
        f for f in processor.flags if re.match(r"avx|fma|bmi|gfni|vaes|asimd|sve|neon", f)
    )
    numbers = [str(n) if n >= 0 else "" for n in (processor.family, processor.model)]
    part = f"0x{processor.part:03x}" if processor.part >= 0 else ""
    text = "|".join([arch, cpu, processor.vendor, *numbers, part, *vector])
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def describe_origin(root: Path) -> str:
    """A recorded figure's origin: `AMD EPYC (zen3), 2 cores, Rust 1.95.0, 2026-11-30`.

    Raises:
        MachineError: as `Toolchain.probe`.
    """
    this, rust = describe_machine(), Toolchain.probe(root).version
    cpu = f"{this['cpu']} ({this['cpu_kind']})"
    return f"{cpu}, {this['cores']} cores, Rust {rust}, {time.strftime('%Y-%m-%d')}"


def measure_busy_share(core: int, seconds: float) -> float:
    """Share of a core that processes use during the next `seconds`; 0.0 if it cannot be read."""

    def read_ticks() -> tuple[int, int]:
        for line in Path("/proc/stat").read_text().splitlines():
            if line.startswith(f"cpu{core} "):
                values = [int(v) for v in line.split()[1:9]]
                return sum(values), values[3] + values[4]
        return 0, 0

    try:
        total, idle = read_ticks()
        time.sleep(seconds)
        after, idle_after = read_ticks()
    except OSError:
        return 0.0
    passed = after - total
    return 1.0 - (idle_after - idle) / passed if passed else 0.0


def hash_host_identity() -> str:
    """Tells one host from another without naming it: eight digits over its identity."""
    identity = platform.node()
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with contextlib.suppress(OSError):
            identity = Path(path).read_text().strip() or identity
            break
    return hashlib.sha256(f"lance-autoresearch {identity}".encode()).hexdigest()[:8]


def read_boot_id() -> str:
    """Where a session of measurements holds: this boot, and the CPU kind that kernels see."""
    return f"{_read_boot()} {describe_machine()['cpu_kind']}"


def _read_boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{platform.node()} {int((time.time() - time.monotonic()) // 10)}"
