"""The measuring core on real kernels: small libraries built with plain rustc and the shim.

Every hostile kernel must end in the right fault, and the conductor must go on serving.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lance_autoresearch.evidence.measure import Conductor, audit, ensure_built
from lance_autoresearch.records import Fault

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(
    shutil.which("cargo") is None or os.uname().sysname != "Linux",
    reason="needs cargo and Linux",
)

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
        return self.conductor.check(
            self.build(name, library(body, head)), self.pools, seed=5
        ).fault

    def pair_fault(self, name: str, body: str, head: str = "") -> Fault | None:
        """Fault of a short pair against the honest kernel."""
        lib = self.build(name, library(body, head))
        return self.conductor.pair(self.honest, lib, self.pools, seed=6, rounds=3).fault


def rustc(source: Path, out: Path, kind: str, *more: str) -> None:
    """Plain rustc, as kernels are built."""
    command = ["rustc", "--edition", "2024", "-O", "-C", "panic=abort", "-C", "codegen-units=1",
               "--crate-type", kind, str(source), "-o", str(out), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def write_pool(
    path: Path, args: Sequence[Sequence[np.ndarray]], caps: Sequence[Sequence[int]],
    parts: Sequence[dict[str, object]], combo: str = "op 256 toy",
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
    head = json.dumps({
        "v": 1, "combo": combo, "op": 0, "parts": list(parts), "calls": calls,
        "arg_phase": [0, 0], "window_bytes": 1 << 19, "blob_len": len(blob),
    }).encode()
    lead = b"LARPOOL1" + len(head).to_bytes(4, "little") + head
    path.write_bytes(lead + bytes(-len(lead) % 4096) + bytes(blob))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("toys")
    rustc(ROOT / "rust/shim/lib.rs", folder / "liblar_shim.rlib", "rlib",
          "--crate-name", "lar_shim")
    rng = np.random.default_rng(4)
    args = [[rng.random(256, dtype=np.float32) for _ in range(2)] for _ in range(48)]
    pool, want = folder / "toy.pool", folder / "toy.want"
    write_pool(pool, args, [[1024]] * 48, [{"rule": "bits32", "elem": 4}])
    with Conductor(ROOT, call_ms=1000, mem_mb=256) as conductor:
        bench = Bench(conductor, folder, folder / "honest.so", [(pool, want)])
        bench.build("honest", library(HONEST))
        expected = conductor.expect(bench.honest, pool, want)
        assert expected.fault is None
        assert len(expected.ns_per_call) == 48
        yield bench


def test_an_honest_kernel_passes_every_call(bench: Bench) -> None:
    result = bench.conductor.check(bench.honest, bench.pools, seed=1)
    assert result.fault is None
    assert result.calls == 48


def test_one_wrong_bit_is_located_exactly(bench: Bench) -> None:
    # Call 17 alone is the one whose first input starts with this value.
    fault = bench.check("bit", HONEST + " out[137] = f32::from_bits(out[137].to_bits() ^ 1);")
    assert fault is not None
    assert (fault.kind, fault.part, fault.offset) == ("mismatch", 0, 137 * 4)
    assert (fault.differs, fault.total, fault.side) == (1, 256, "candidate")
    got, want = (int.from_bytes(b, "little") for b in (fault.got, fault.want))
    assert got == want ^ 1


def test_the_same_in_a_timed_slice(bench: Bench) -> None:
    fault = bench.pair_fault("bit2", HONEST + " out[5] = -out[5];")
    assert fault is not None
    assert (fault.kind, fault.offset, fault.side) == ("mismatch", 20, "candidate")


def test_nan_is_no_wildcard(bench: Bench) -> None:
    fault = bench.check("nan", "for o in out { *o = f32::NAN; }")
    assert fault is not None
    assert (fault.kind, fault.differs) == ("mismatch", 256)


def test_nan_of_any_payload_equals_nan(bench: Bench) -> None:
    arrays = [[np.full(4, np.nan, np.float32), np.zeros(4, np.float32)]]
    pool, want = bench.dir / "nan.pool", bench.dir / "nan.want"
    write_pool(pool, arrays, [[16]], [{"rule": "bits32", "elem": 4}])
    assert bench.conductor.expect(bench.honest, pool, want).fault is None
    body = "for o in out { *o = f32::from_bits(0xffc0_1234); }"
    lib = bench.build("payload", library(body))
    assert bench.conductor.check(lib, [(pool, want)], seed=1).fault is None


def test_a_panic_leaves_its_place_and_text(bench: Bench) -> None:
    fault = bench.check("panics", 'panic!("lost \\u{1b}[31m {}", out.len());')
    assert fault is not None
    assert fault.kind == "panic"
    assert fault.note is not None
    assert "panics.rs:" in fault.note
    assert "lost" in fault.note
    assert "\x1b" not in fault.note


def test_a_long_panic_is_cut(bench: Bench) -> None:
    fault = bench.check("long", 'panic!("{}", "x".repeat(5000));')
    assert fault is not None
    assert fault.note is not None
    assert 500 < len(fault.note) <= 1024


def test_an_endless_loop_times_out(bench: Bench) -> None:
    fault = bench.check("loops", "let p = out.as_mut_ptr(); "
                        "loop { unsafe { p.write_volatile(a[0] + b[0]) } }")
    assert fault is not None
    assert fault.kind == "timeout"


def test_a_wild_pointer_is_a_signal(bench: Bench) -> None:
    fault = bench.pair_fault("wild", "unsafe { (8 as *mut f32).write_volatile(a[0]) }")
    assert fault is not None
    assert (fault.kind, fault.signal, fault.combo) == ("signal", 11, "op 256 toy")


def test_endless_recursion_is_a_signal(bench: Bench) -> None:
    head = ("#[inline(never)] fn deep(n: u64) -> u64 { let a = [n; 64]; "
            "std::hint::black_box(&a); deep(n + 1) + a[3] }")
    fault = bench.check("deep", "out[0] = deep(a.len() as u64) as f32;", head)
    assert fault is not None
    assert (fault.kind, fault.signal) == ("signal", 11)


@pytest.mark.parametrize("where", ["out.as_mut_ptr().add(out.len())", "out.as_mut_ptr().sub(1)"])
def test_a_write_beside_the_output_breaks_the_slack(bench: Bench, where: str) -> None:
    body = HONEST + f" unsafe {{ {where}.write_volatile(1.0) }}"
    fault = bench.pair_fault("over" + str(len(where)), body)
    assert fault is not None
    assert fault.kind == "slack"


def test_a_write_past_capacity_meets_the_guard_page(bench: Bench) -> None:
    body = HONEST + " unsafe { out.as_mut_ptr().add(out.len()).write_volatile(1.0) }"
    fault = bench.check("guard", body)
    assert fault is not None
    assert (fault.kind, fault.signal) == ("signal", 11)


@pytest.mark.parametrize("arg", ["a", "b"])
def test_a_read_past_an_input_meets_the_guard_page(bench: Bench, arg: str) -> None:
    body = HONEST + f" out[0] += 0.0 * unsafe {{ {arg}.as_ptr().add(256).read_volatile() }};"
    fault = bench.check("read" + arg, body)
    assert fault is not None
    assert (fault.kind, fault.signal) == ("signal", 11)


def test_inputs_cannot_be_written(bench: Bench) -> None:
    body = HONEST + " unsafe { a.as_ptr().cast_mut().write_volatile(1.0) }"
    fault = bench.pair_fault("input", body)
    assert fault is not None
    assert (fault.kind, fault.signal) == ("signal", 11)


@pytest.mark.parametrize(
    ("name", "call", "syscall"),
    [
        ("pid", "std::process::id();", "getpid"),
        ("file", "let _ = std::fs::read(\"/etc/passwd\");", "openat"),
        ("print", "println!(\"gain 99 %\");", "write"),
        ("thread", "std::thread::spawn(|| ());", None),
        ("socket", "let _ = std::net::UdpSocket::bind(\"0.0.0.0:0\");", "socket"),
    ],
)
def test_a_system_call_ends_it(bench: Bench, name: str, call: str, syscall: str | None) -> None:
    fault = bench.check(name, HONEST + call)
    assert fault is not None
    if syscall is None:
        assert fault.kind in ("sandbox", "memory", "signal")
    else:
        assert (fault.kind, fault.syscall) == ("sandbox", syscall)


def test_exit_is_no_way_out(bench: Bench) -> None:
    head = 'unsafe extern "C" { fn _exit(status: i32) -> !; }'
    fault = bench.check("exits", HONEST + " unsafe { _exit(0) }", head)
    assert fault is not None
    assert fault.kind == "sandbox"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x86-64 alone traps its counter")
def test_the_counter_faults(bench: Bench) -> None:
    body = HONEST + " std::hint::black_box(unsafe { std::arch::x86_64::_rdtsc() });"
    fault = bench.check("tsc", body)
    assert fault is not None
    assert (fault.kind, fault.signal) == ("signal", 11)


def test_ten_gigabytes_are_refused(bench: Bench) -> None:
    body = HONEST + " std::hint::black_box(vec![1u8; 10 << 30]);"
    fault = bench.check("huge", body)
    assert fault is not None
    assert fault.kind == "memory"


def test_an_honest_heap_needs_no_system_call(bench: Bench) -> None:
    body = """let mut v: Vec<Vec<f32>> = Vec::new();
    for i in 0..32 { v.push(a.iter().map(|x| x * 3.0 + i as f32 * 0.0).collect()); }
    let mut big = vec![0f32; 4 << 20]; big[17] = 1.0; std::hint::black_box(&mut big);
    for i in 0..out.len() { out[i] = v[31][i] + b[i]; }"""
    assert bench.check("heap", body) is None


def test_an_early_return_leaves_poison(bench: Bench) -> None:
    body = "for i in 0..out.len() - 3 { out[i] = a[i] * 3.0 + b[i]; }"
    fault = bench.check("early", body)
    assert fault is not None
    assert (fault.kind, fault.offset, fault.differs) == ("poison", 253 * 4, 3)


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


def test_signalling_done_and_working_on_is_too_late(bench: Bench) -> None:
    lib = bench.build("late", LATE)
    fault = bench.conductor.check(lib, bench.pools, seed=5).fault
    assert fault is not None
    assert fault.kind == "late_write"
    fault = bench.conductor.pair(bench.honest, lib, bench.pools, seed=5, rounds=2).fault
    assert fault is not None
    assert (fault.kind, fault.side) == ("late_write", "candidate")


def is_worker(pid: int) -> bool:
    """Whether this process runs a kernel library."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() == b"lar-worker\0worker\0"
    except OSError:
        return False


def descendants(pid: int) -> list[int]:
    """Processes below `pid` whose program is a worker's."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rsplit(")", 1)[1].split()[1])
    found = []
    for child in parents:
        above = parents.get(child)
        while above and above != pid:
            above = parents.get(above)
        if above == pid and is_worker(child):
            found.append(child)
    return found


def test_a_worker_killed_from_outside_voids_the_pair(bench: Bench) -> None:
    with Conductor(ROOT) as other, ThreadPoolExecutor(1) as pool:
        assert other.pid is not None
        running = pool.submit(other.pair, bench.honest, bench.honest, bench.pools, seed=1,
                              rounds=4000)
        victims: list[int] = []
        while not victims:
            victims = descendants(other.pid)
        time.sleep(0.2)
        os.kill(victims[0], signal.SIGKILL)
        result = running.result(timeout=60)
        assert result.fault is None
        assert result.void is not None
        assert "from outside" in result.void
        assert other.check(bench.honest, bench.pools, seed=1).fault is None


def test_a_wrong_length_is_a_mismatch(bench: Bench) -> None:
    source = library(HONEST).replace("kernel(a, b, call.out_f32s(0));",
                                     "kernel(a, b, call.out_f32s(0)); call.set_len(0, 12);")
    fault = bench.conductor.check(bench.build("short", source), bench.pools, seed=2).fault
    assert fault is not None
    assert fault.kind == "mismatch"
    assert fault.note == "length in bytes 12, wanted 1024"


def test_a_wrong_status_is_a_mismatch(bench: Bench) -> None:
    source = library(HONEST).replace("kernel(a, b, call.out_f32s(0));", "call.fail(7);")
    fault = bench.conductor.check(bench.build("status", source), bench.pools, seed=2).fault
    assert fault is not None
    assert (fault.kind, fault.note) == ("mismatch", "status 7, wanted 0")


def test_features_are_masked_on_request(bench: Bench) -> None:
    body = HONEST + " if !lar_shim::has(lar_shim::Feature::Popcnt) { out[0] = -1.0; }"
    lib = bench.build("features", library(body))
    opened = bench.conductor.opened
    assert opened is not None
    full = bench.conductor.check(lib, bench.pools, seed=2).fault is None
    assert full == bool(opened.features & 2)
    masked = bench.conductor.check(lib, bench.pools, seed=2, features=0).fault
    assert masked is not None
    assert masked.offset == 0


def test_name_arguments_and_environment_are_equal(bench: Bench) -> None:
    """Both sides see the same bytes in argv and the environment, whatever a file is called."""
    head = """unsafe extern "C" { static environ: *const *const u8; }
    fn bytes() -> usize { unsafe {
        let (mut n, mut p) = (0, *environ);
        while p.add(n + 1).read() != 0 || p.add(n).read() != 0 { n += 1; }
        p = p.add(n); (p as usize) % 4096 * 0 + n
    } }"""
    body = "out.fill(0.0); out[0] = bytes() as f32;"
    fault = bench.check("a_much_longer_file_name_than_usual", body, head)
    other = bench.check("ab", body, head)
    assert fault is not None
    assert other is not None
    assert fault.got == other.got


def test_an_aa_pair_is_even(bench: Bench) -> None:
    result = bench.conductor.pair(bench.honest, bench.honest, bench.pools, seed=8)
    assert result.fault is None
    assert result.times is not None
    champion, candidate = (np.median(side) for side in
                           (result.times.champion[0], result.times.candidate[0]))
    assert 0.5 < champion / candidate < 2.0
    assert len(result.times.champion[0]) == 20
    assert all(t > 0 for t in result.times.candidate[0])


def test_a_pair_finds_a_slower_kernel(bench: Bench) -> None:
    slow = library("for _ in 0..8 { " + HONEST + " std::hint::black_box(&mut *out); }")
    lib = bench.build("slow", slow)
    result = bench.conductor.pair(bench.honest, lib, bench.pools, seed=9)
    assert result.times is not None
    ratio = np.array(result.times.candidate[0]) / np.array(result.times.champion[0])
    assert np.median(ratio) > 2.0


def test_given_calls_are_kept_on_both_sides(bench: Bench) -> None:
    counts = [
        bench.conductor.pair(bench.honest, bench.honest, bench.pools, seed=3, rounds=4,
                             calls=[31]).times
        for _ in range(2)
    ]
    assert [times.calls for times in counts if times] == [(31,), (31,)]


def test_long_blocks_last_about_as_long_as_asked(bench: Bench) -> None:
    result = bench.conductor.pair(bench.honest, bench.honest, bench.pools, seed=3, rounds=2,
                                  block_ms=5.0)
    opened = bench.conductor.opened
    assert result.times is not None
    assert opened is not None
    ms = np.median(result.times.champion[0]) / opened.ticks_per_ns / 1e6
    assert 2.0 < ms < 500.0  # the calibrating slices may have been disturbed


def test_a_champion_at_fault_is_named(bench: Bench) -> None:
    lib = bench.build("bad", library("out[0] = a[0] + b[0];"))
    fault = bench.conductor.pair(lib, bench.honest, bench.pools, seed=3, rounds=2).fault
    assert fault is not None
    assert fault.side == "champion"


def test_audit_lists_symbols_and_exports(bench: Bench) -> None:
    report = audit(ROOT, bench.honest, bench.honest)
    assert {"lar_call_v1", "lar_init_v1", "lar_nop_v1"} <= set(report["exports"])
    assert report["text_bytes"] > 0


@pytest.mark.parametrize("box", ["landlock", "none"])
def test_the_other_boxes_run_and_are_named(bench: Bench, box: str) -> None:
    with Conductor(ROOT, box=box) as other:
        assert other.opened is not None
        assert other.opened.box == box
        assert other.check(bench.honest, bench.pools, seed=1).fault is None


def test_selftest_reports_the_overhead_of_an_empty_slice() -> None:
    program = ensure_built(ROOT) / "lar-conductor"
    done = subprocess.run([str(program), "selftest", "--seconds", "0.2"], capture_output=True,
                          text=True, check=False, timeout=60)
    report = json.loads(done.stdout)
    assert report["ok"] is True
    assert 0 < report["go_done_ns"]["p1"] <= report["go_done_ns"]["p50"]
