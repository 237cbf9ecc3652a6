"""Weak points of machines: recorded trees of /proc and /sys, and what this machine really has."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from lance_autoresearch.errors import MachineError
from lance_autoresearch.host import capabilities
from lance_autoresearch.host.capabilities import WeakKind, list_weak_points, require_fit
from lance_autoresearch.host.cgroups import read_cpu_quota, read_free_memory
from lance_autoresearch.host.cores import choose_cores, parse_cores

CPU = "sys/devices/system/cpu"
HYBRID = {  # four performance cores with two threads each, four efficiency cores
    "sys/devices/cpu_core/cpus": "0-7\n",
    "sys/devices/cpu_atom/cpus": "8-11\n",
    **{f"{CPU}/cpu{n}/topology/thread_siblings_list": f"{n & ~1}-{n | 1}\n" for n in range(8)},
    **{f"{CPU}/cpu{n}/topology/thread_siblings_list": f"{n}\n" for n in range(8, 12)},
}
BIG_LITTLE = {f"{CPU}/cpu{n}/cpu_capacity": f"{1024 if n < 2 else 430}\n" for n in range(4)}
CGROUP_V2 = {
    "proc/self/cgroup": "0::/user.slice/run\n",
    "sys/fs/cgroup/user.slice/cpu.max": "150000 100000\n",
    "sys/fs/cgroup/user.slice/run/cpu.max": "max 100000\n",
    "sys/fs/cgroup/user.slice/run/memory.max": "1073741824\n",
    "sys/fs/cgroup/user.slice/run/memory.current": "73741824\n",
}
CGROUP_V1 = {
    "proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/\n",
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "2000000000\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "500000000\n",
}
UNLIMITED = {
    "proc/self/cgroup": "4:cpu:/\n5:memory:/\n",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "500000000\n",
}


def grow(root: Path, *trees: Mapping[str, str]) -> Path:
    for tree in trees:
        for name, text in tree.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("tree", "allowed", "expected"),
    [
        (HYBRID, range(12), (7, 0, 6, False)),
        (HYBRID, [0, 1, 8], (1, 8, 0, False)),
        (HYBRID, [8, 9], (9, 8, None, True)),
        (BIG_LITTLE, range(4), (1, 0, None, False)),
        ({}, range(2), (1, 0, None, False)),
        ({}, [3], (3, 3, None, False)),
    ],
)
def test_a_performance_core_measures_and_no_sibling_conducts(
    tmp_path: Path, tree: Mapping[str, str], allowed: range, expected: tuple[object, ...]
) -> None:
    found = choose_cores(grow(tmp_path, tree), list(allowed))
    assert (found.measuring, found.conducting, found.sibling, found.slow) == expected


def test_lists_of_cores_are_read_as_the_kernel_writes_them() -> None:
    assert parse_cores("0-3,8\n") == [0, 1, 2, 3, 8] and parse_cores("\n") == []


@pytest.mark.parametrize(
    ("tree", "quota", "memory"),
    [(CGROUP_V2, 1.5, 1_000_000_000), (CGROUP_V1, 0.5, 1_500_000_000), (UNLIMITED, None, None),
     ({}, None, None)],
)  # fmt: skip
def test_limits_of_both_versions_of_control_groups(
    tmp_path: Path, tree: Mapping[str, str], quota: float | None, memory: int | None
) -> None:
    root = grow(tmp_path, tree)
    assert (read_cpu_quota(root), read_free_memory(root)) == (quota, memory)


@pytest.mark.parametrize(
    ("tree", "kind"),
    [
        (CGROUP_V1, WeakKind.QUOTA),
        (CGROUP_V2, WeakKind.QUOTA),
        ({"sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n"},
         WeakKind.CLOCK),
        ({"proc/sys/vm/overcommit_memory": "2\n"}, WeakKind.OVERCOMMIT),
        ({"proc/sys/vm/memfd_noexec": "2\n"}, WeakKind.MEMFD),
        ({f"{CPU}/cpu{n}/topology/thread_siblings_list": "0-63\n" for n in range(64)},
         WeakKind.SIBLING),
        ({"sys/devices/cpu_core/cpus": "500-507\n"}, WeakKind.SLOW_CORE),
        ({"proc/self/mountinfo": "22 1 0:21 / / rw - nfs4 server:/x rw\n"}, WeakKind.NETWORK_DISK),
    ],
)
@pytest.mark.skipif(platform.machine() != "x86_64", reason="clock sources of x86-64")
def test_each_weak_point_is_found_and_has_a_fix(
    tmp_path: Path, tree: Mapping[str, str], kind: WeakKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(capabilities.SYSTEM_ROOT, str(grow(tmp_path / "system", tree)))
    found = {point.kind: point for point in list_weak_points(tmp_path)}
    assert kind in found and found[kind].found and found[kind].weaker and found[kind].fix
    if found[kind].blocks:
        with pytest.raises(MachineError, match=found[kind].found):
            require_fit(tmp_path)
    else:
        assert found[kind] in require_fit(tmp_path)


def said(tmp_path: Path, *limits: str) -> str:
    """What `require_fit` says in a shell with these settings."""
    code = (
        "from pathlib import Path\nfrom lance_autoresearch.host.capabilities import require_fit\n"
        f"require_fit(Path({str(tmp_path)!r}))"
    )
    script = "; ".join([*limits, 'exec "$@"'])
    done = subprocess.run(["bash", "-c", script, "bash", sys.executable, "-c", code],
                          capture_output=True, text=True)  # fmt: skip
    return done.stderr


@pytest.mark.parametrize(
    ("limit", "what"),
    [("ulimit -n 64", "at most 64 open files"), ("ulimit -f 100", "files of at most 102400 bytes"),
     (f"taskset -p -c {min(os.sched_getaffinity(0))} $$ >/dev/null", "1 core")],
)  # fmt: skip
def test_a_trial_that_could_not_be_trusted_does_not_begin(
    tmp_path: Path, limit: str, what: str
) -> None:
    assert what in said(tmp_path, limit)
    assert said(tmp_path, "ulimit -S -n 64") == "", "a soft limit is raised"


def test_a_full_or_noexec_disk_is_refused(tmp_path: Path) -> None:
    for options, what in (("size=30m", "MB free in"), ("noexec", "is mounted noexec")):
        place = tmp_path / options / ".lar"
        place.mkdir(parents=True)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "t", place]).returncode:
            pytest.skip("only root mounts")
        try:
            with pytest.raises(MachineError, match=what):
                require_fit(place.parent)
        finally:
            subprocess.run(["umount", place], check=True)


REFUSE = """
import ctypes, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
code = b"".join(struct.pack("HBBI", *row) for row in (
    (0x20, 0, 0, 0), (0x15, 0, 1, 135), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]
libc.prctl(38, 1, 0, 0, 0)
assert libc.prctl(22, 2, ctypes.byref(Program(4, code)), 0, 0) == 0
from pathlib import Path
from lance_autoresearch.host.capabilities import WeakKind, list_weak_points
print(WeakKind.RANDOMISED in {p.kind for p in list_weak_points(Path(sys.argv[1]))})
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="number of the system call")
def test_a_filter_that_refuses_personality_is_noticed(tmp_path: Path) -> None:
    """A real filter, as containers have it; without it nothing is reported."""
    done = subprocess.run([sys.executable, "-c", REFUSE, str(tmp_path)], capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert done.stdout == "True\n"
    assert not capabilities.is_personality_refused()
