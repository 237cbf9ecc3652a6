"""What tests of the conductor need: toy libraries, a pool, a bench that runs them."""

from __future__ import annotations

import functools
import json
import os
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lance_autoresearch.bench.conductor import PROGRAMS, Conductor, hash_sources
from lance_autoresearch.bench.pools import seal_pool
from lance_autoresearch.records import Fault
from lance_autoresearch.rules.policy import MeasuringLimits
from lance_autoresearch.targets.spec import RowOrder

ROOT = Path(__file__).resolve().parents[1]

HONEST = "for i in 0..out.len() { out[i] = a[i] * 3.0 + b[i]; }"


def library(body: str, head: str = "") -> str:
    """A contract and its kernel in one: `body` sees a, b: &[f32], out: &mut [f32]."""
    return f"""
use lar_shim::Call;
{head}
#[inline(never)]
fn kernel(a: &[f32], b: &[f32], out: &mut [f32]) {{ {body} }}
pub fn op(call: &mut Call) {{
    let (a, b) = (call.f32s(0), call.f32s(1));
    kernel(a, b, call.out_f32s(0));
}}
lar_shim::ops!(op);
"""


@functools.cache
def programs(*features: str) -> Path:
    """Conductor and worker with a defence taken away, built beside the shipped ones.

    A program that no feature belongs to is the shipped one.
    """
    cache = ROOT / ".lar" / "cache" / "rust-tests"
    home = cache / f"{'+'.join(features).replace('/', '.')}-{hash_sources(ROOT)[:12]}"
    if not (home / "lar-worker").is_file():
        changed = sorted({feature.partition("/")[0] for feature in features})
        command = ["cargo", "build", "--release", "--locked", "--target-dir", str(cache / "target"),
                   *(word for name in changed for word in ("-p", name)),
                   "--features", ",".join(features)]  # fmt: skip
        done = subprocess.run(command, cwd=ROOT / "rust", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        home.mkdir(parents=True, exist_ok=True)
        for name in PROGRAMS:       # another test process may be running the old file
            part = home / f".{name}.{os.getpid()}"
            built = cache / "target" / "release" if name in changed else ROOT / ".lar" / "bin"
            part.write_bytes((built / name).read_bytes())
            part.chmod(0o755)
            part.replace(home / name)
    return home


@dataclass
class Bench:
    """A conductor, a compiler and a pool of 48 calls with upstream's outputs."""

    conductor: Conductor
    dir: Path
    honest: Path
    pools: list[tuple[Path, Path]]

    def build(self, name: str, source: str) -> Path:
        """Compile one toy library."""
        path = self.dir / f"{name}.rs"
        path.write_text(source)
        out = self.dir / f"{name}.so"
        rustc(path, out, "cdylib", "--extern", f"lar_shim={self.dir / 'liblar_shim.rlib'}")
        return out

    def check(self, name: str, body: str, head: str = "") -> Fault | None:
        """Fault of a check pass over the pool."""
        return self.conductor.check_pools(
            self.build(name, library(body, head)), self.pools, seed=5
        ).fault

    def pair_fault(self, name: str, body: str, head: str = "") -> Fault | None:
        """Fault of a short pair against the honest kernel."""
        lib = self.build(name, library(body, head))
        return self.conductor.measure_pair(self.honest, lib, self.pools, seed=6, rounds=3).fault


def rustc(source: Path, out: Path, kind: str, *more: str) -> None:
    """Plain rustc, as kernels are built."""
    command = ["rustc", "--edition", "2024", "-O", "-C", "panic=abort", "-C", "codegen-units=1",
               "--crate-type", kind, str(source), "-o", str(out), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def write_pool(
    path: Path, args: Sequence[Sequence[np.ndarray]], caps: Sequence[Sequence[int]],
    parts: Sequence[dict[str, object]], combo: str = "op 256 toy", rows: RowOrder | None = None,
    ties: Sequence[Sequence[int]] | None = None, arg_align: Sequence[int] = (),
) -> None:
    """A pool file in the conductor's format."""
    blob, calls, shared = bytearray(), [], {}
    for arrays, cap in zip(args, caps, strict=True):
        places = []
        for array in arrays:
            if id(array) not in shared:
                blob += bytes(-len(blob) % 64)
                shared[id(array)] = [len(blob), array.nbytes]
                blob += array.tobytes()
            places.append(shared[id(array)])
        calls.append({"args": places, "caps": list(cap)})
    for call, tied in zip(calls, ties or (), strict=False):
        call["ties"] = list(tied)
    head = json.dumps({
        "v": 1, "combo": combo, "op": 0, "rows": rows, "parts": [{"align": 0, **p} for p in parts],
        "calls": calls, "arg_elem": [array.itemsize for array in args[0]],
        "arg_align": list(arg_align),
        "window_bytes": 1 << 19, "blob_len": len(blob),
    }).encode()
    path.write_bytes(b"".join(seal_pool(head, [bytes(blob)])))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("toys")
    rustc(ROOT / "rust/shim/lib.rs", folder / "liblar_shim.rlib", "rlib",
          "--crate-name", "lar_shim")
    rng = np.random.default_rng(4)
    args = [[rng.random(256, dtype=np.float32) for _ in range(2)] for _ in range(48)]
    pool, expected = folder / "toy.pool", folder / "toy.expected"
    write_pool(pool, args, [[1024]] * 48, [{"rule": "bits32", "elem": 4}])
    with Conductor(ROOT, limits=MeasuringLimits(call_ms=1000, heap_mb=256)) as conductor:
        bench = Bench(conductor, folder, folder / "honest.so", [(pool, expected)])
        bench.build("honest", library(HONEST))
        expected = conductor.write_expected(bench.honest, pool, expected)
        assert expected.fault is None
        assert len(expected.ns_per_call) == 48
        yield bench

LATE = """
use lar_shim::abi::{Init, RawCall, SlotHeader};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};

static NOTE: AtomicUsize = AtomicUsize::new(0);

#[unsafe(no_mangle)]
pub unsafe extern "C" fn lar_init_v1(init: *const Init) {
    NOTE.store(unsafe { (*init).note } as usize, SeqCst);
}
#[unsafe(no_mangle)]
pub extern "C" fn lar_nop_v1(_: u32, _: *const RawCall) {}
#[unsafe(no_mangle)]
pub extern "C" fn lar_prepare_v1(_: u32, _: *const RawCall, _: usize) -> usize { 0 }
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lar_call_v1(_: u32, call: *const RawCall) { unsafe {
    // The control page lies two pages above the note page.
    let page = (NOTE.load(SeqCst) + 8192) as *const u8;
    let turn = (*(page as *const AtomicU32)).load(SeqCst);
    (*(page.add(72) as *const AtomicU32)).store(turn, SeqCst);
    let mut x = 1.0f32;
    for _ in 0..3_000_000 { x = std::hint::black_box(x * 1.000001); }
    let (arg, part) = ((*call).args, *(*call).parts);
    let (a, b) = ((*arg).ptr as *const f32, (*arg.add(1)).ptr as *const f32);
    let out = part.ptr as *mut f32;
    for i in 0..part.cap / 4 { *out.add(i) = *a.add(i) * 3.0 + *b.add(i); }
    *(*call).header = SlotHeader { status: 0, len: [part.cap as u64, 0, 0, 0, 0, 0, 0] };
} }
"""


def read_container(path: Path) -> tuple[list[dict[str, Any]], bytes]:
    """(calls of its header, blob) of a pool or of its answers."""
    raw = path.read_bytes()
    size = struct.unpack_from("<I", raw, 8)[0]
    return json.loads(raw[16 : 16 + size])["calls"], raw[-(-(16 + size) // 4096) * 4096 :]
