"""The processor, its cores, this boot: what a figure was measured on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import time
from pathlib import Path

from lance_autoresearch.host.toolchain import Toolchain


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
