"""What tests of admission, audit and builds share: a small kernel and binutils as a reader."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

SURFACE = """
pub fn scan8(t: &[f32], m: usize, c: &[u8], out: &mut [f32]) {
    out.fill(t[0] + (m + c.len()) as f32)
}
pub fn table_l2(_: &[f32], _: usize, q: &[f32], out: &mut [f32]) { out.fill(q[0]) }
"""


def report(obj: Path, so: Path) -> dict[str, Any]:
    """What `lar-conductor audit` says, by way of binutils."""
    undefined = run("nm", "-uC", str(obj)).splitlines()
    exports = run("nm", "-D", "--defined-only", str(so)).splitlines()
    row = r"\]\s+(\.\S+)\s+\w+\s+\w+ \w+ (\w+) \w+\s+([A-Za-z]*)\s"
    rows = re.findall(row, run("readelf", "-SW", str(obj)))
    return {
        "undefined": [line.split(maxsplit=1)[1] for line in undefined if line.strip()],
        "sections": [{"name": n, "size": int(s, 16), "flags": f} for n, s, f in rows],
        "exports": [line.split()[-1] for line in exports],
    }


def run(*argv: str) -> str:
    """Standard output of a tool."""
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def find_compilers() -> list[int]:
    """Processes below this one that compile a crate `kernels`."""
    found, waiting = [], [os.getpid()]
    while waiting:
        pid = waiting.pop()
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:
            continue
        if words[0].endswith(b"rustc") and b"--crate-name=kernels" in words:
            found.append(pid)
    return found
