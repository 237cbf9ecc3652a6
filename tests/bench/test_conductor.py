"""The measuring core on real kernels: small libraries built with plain rustc and the shim.

Every hostile kernel must end in the right fault, and the conductor must go on serving.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from conductor_parts import HONEST, LATE, Bench, library, write_pool

from lance_autoresearch.errors import MachineError


def test_an_honest_kernel_passes_every_call(bench: Bench) -> None:
    result = bench.conductor.check_pools(bench.honest, bench.pools, seed=1)
    assert result.fault is None
    assert result.calls == 48


def test_one_wrong_bit_is_located_exactly(bench: Bench) -> None:
    # Call 17 alone is the one whose first input starts with this value.
    fault = bench.check("bit", HONEST + " out[137] = f32::from_bits(out[137].to_bits() ^ 1);")
    assert fault is not None
    assert (fault.kind, fault.part, fault.offset) == ("mismatch", 0, 137 * 4)
    assert (fault.differs, fault.total, fault.side) == (1, 256, "candidate")
    got, expected = (int.from_bytes(b, "little") for b in (fault.got, fault.want))
    assert got == expected ^ 1


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
    pool, expected = bench.dir / "nan.pool", bench.dir / "nan.expected"
    write_pool(pool, arrays, [[16]], [{"rule": "bits32", "elem": 4}])
    assert bench.conductor.write_expected(bench.honest, pool, expected).fault is None
    body = "for o in out { *o = f32::from_bits(0xffc0_1234); }"
    lib = bench.build("payload", library(body))
    assert bench.conductor.check_pools(lib, [(pool, expected)], seed=1).fault is None


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


def test_endless_recursion_overflows_the_stack(bench: Bench) -> None:
    head = ("#[inline(never)] fn deep(n: u64) -> u64 { let a = [n; 64]; "
            "std::hint::black_box(&a); deep(n + 1) + a[3] }")
    fault = bench.check("deep", "out[0] = deep(a.len() as u64) as f32;", head)
    assert fault is not None
    assert fault.kind == "stack"


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


def test_abort_is_a_signal(bench: Bench) -> None:
    fault = bench.check("aborts", HONEST + " if a[0] >= 0.0 { std::process::abort() }")
    assert fault is not None
    assert (fault.kind, fault.signal) == ("signal", 6)


@pytest.mark.parametrize(
    ("name", "call", "syscall"),
    [("handler", "signal(14, 0)", "rt_sigaction"), ("raises", "raise(6)", "gettid"),
     ("kills", "tgkill(1, 1, 6)", "tgkill")],
)
def test_only_abort_is_taken_for_abort(bench: Bench, name: str, call: str, syscall: str) -> None:
    head = ('unsafe extern "C" { fn signal(n: i32, handler: usize) -> usize; '
            "fn raise(n: i32) -> i32; fn tgkill(a: i32, b: i32, n: i32) -> i32; }")
    fault = bench.check(name, HONEST + f" unsafe {{ {call}; }}", head)
    assert fault is not None
    assert (fault.kind, fault.syscall) == ("sandbox", syscall)


@pytest.mark.parametrize("which", ["pool", "expected"])
@pytest.mark.parametrize("where", ["header", "blob", "end"])
def test_a_damaged_file_is_refused(bench: Bench, which: str, where: str) -> None:
    pool, expected = (bench.dir / f"damaged.{kind}" for kind in ("pool", "expected"))
    for to, source in zip((pool, expected), bench.pools[0], strict=True):
        to.write_bytes(source.read_bytes())
    victim = pool if which == "pool" else expected
    raw = bytearray(victim.read_bytes())
    at = {"header": raw.index(b"calls") + 1, "blob": 3 * len(raw) // 4, "end": len(raw) - 1}[where]
    raw[at] ^= 4
    victim.write_bytes(raw)
    with pytest.raises(MachineError, match=rf"damaged\.{which}: damaged"):
        bench.conductor.check_pools(bench.honest, [(pool, expected)], seed=1)
    assert bench.conductor.check_pools(bench.honest, bench.pools, seed=1).fault is None


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


def test_signalling_done_and_working_on_is_too_late(bench: Bench) -> None:
    lib = bench.build("late", LATE)
    fault = bench.conductor.check_pools(lib, bench.pools, seed=5).fault
    assert fault is not None
    assert fault.kind == "late_write"
    fault = bench.conductor.measure_pair(bench.honest, lib, bench.pools, seed=5, rounds=2).fault
    assert fault is not None
    assert (fault.kind, fault.side) == ("late_write", "candidate")
