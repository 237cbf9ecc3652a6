"""Random and mutated input: no crash, no hang, nothing damaged accepted. Longer: tools/fuzz.py."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from conductor_parts import Bench
from hypothesis import given, settings
from hypothesis import strategies as st
from tiers import fast_for

from lance_autoresearch.bench.conductor import Conductor
from lance_autoresearch.rules.policy import MeasuringLimits

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import fuzz  # noqa: E402
import fuzz_subjects  # noqa: E402

QUICK = settings(max_examples=300, deadline=None)
RUSTY = st.lists(
    st.sampled_from(fuzz.PIECES) | st.text(max_size=6), max_size=40
).map("".join)


@given(RUSTY)
@QUICK
def test_the_token_scan_ends_and_loses_nothing(text: str) -> None:
    fuzz.scan(text)


@given(st.binary(max_size=400))
@QUICK
def test_admission_of_any_bytes_ends_in_a_verdict(data: bytes) -> None:
    fuzz.admission(data)


@given(RUSTY)
@settings(max_examples=100, deadline=None)
def test_the_slicer_ends_in_text_or_an_error(text: str) -> None:
    fuzz.slice_(text)


@pytest.mark.skipif(sys.platform != "linux", reason="the conductor runs on Linux")
@pytest.mark.parametrize("cases", fast_for([50, 200], 50))
def test_the_conductor_survives_damaged_pools_and_lines(cases: int, tmp_path: Path) -> None:
    figures = fuzz.conductor(tmp_path, seed=1, cases=cases)
    assert figures["cases"] == cases and figures["lost"] == 0 and figures["accepted"] == 0


SCRIBBLE = """
use lar_shim::abi::{Init, RawCall, SlotHeader};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

static NOTE: AtomicUsize = AtomicUsize::new(0);
static STATE: AtomicU64 = AtomicU64::new(SEED);

#[unsafe(no_mangle)]
pub unsafe extern "C" fn lar_init_v1(init: *const Init) {
    NOTE.store(unsafe { (*init).note } as usize, SeqCst);
}
#[unsafe(no_mangle)]
pub extern "C" fn lar_nop_v1(_: u32, _: *const RawCall) {}
#[unsafe(no_mangle)]
pub extern "C" fn lar_prepare_v1(_: u32, _: *const RawCall, _: usize) -> usize { 0 }
fn next() -> u64 {
    let mut x = STATE.load(SeqCst);
    x ^= x << 13; x ^= x >> 7; x ^= x << 17;
    STATE.store(x, SeqCst);
    x
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lar_call_v1(_: u32, call: *const RawCall) { unsafe {
    let note = NOTE.load(SeqCst) as *mut u8;
    for _ in 0..next() % 64 {           // its note, and the control page two pages above
        let page = note.add(if next() % 4 == 0 { 0 } else { 8192 });
        let at = (next() % if next() % 2 == 0 { 256 } else { 4096 }) as usize & !7;
        let value = [0, 1, u64::MAX, 1 << 32, next(), 0x80 << 24][(next() % 6) as usize];
        page.add(at).cast::<u64>().write_volatile(value);
    }
    let part = *(*call).parts;
    for i in 0..part.cap.min(next() as usize % 4096) { part.ptr.add(i).write(next() as u8); }
    *(*call).header = SlotHeader { status: next() % 3, len: [next(), 0, 0, 0, 0, 0, 0] };
} }
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the conductor runs on Linux")
def test_the_conductor_survives_a_worker_that_writes_anything(bench: Bench) -> None:
    """What a kernel can reach of the protocol: control page, note, outputs, header."""
    with Conductor(ROOT, limits=MeasuringLimits(call_ms=150)) as conductor:
        for seed in (1, 99, 2**40 + 7, 0x9E3779B97F4A7C15):
            lib = bench.build(f"scribble-{seed}", SCRIBBLE.replace("SEED", str(seed)))
            for order in (1, 2):
                fault = conductor.check_pools(lib, bench.pools, seed=order).fault
                assert fault is not None
                assert not fuzz_subjects.FORBIDDEN.search(fault.note or "")
            ended = conductor.measure_pair(bench.honest, lib, bench.pools, seed=3, rounds=2)
            assert ended.fault is not None or ended.void is not None
            assert conductor.check_pools(bench.honest, bench.pools, seed=4).fault is None


CASES = [p for p in sorted(fuzz_subjects.CASES.glob("*/*")) if p.is_file()]
FOUND = [p for p in CASES if p.parent.name in fuzz_subjects.SUBJECTS]


@pytest.mark.parametrize("case", FOUND, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_what_a_fuzzer_once_found_is_fixed(case: Path) -> None:
    fuzz_subjects.SUBJECTS[case.parent.name](case.read_bytes())


@pytest.mark.parametrize("name", fuzz_subjects.SUBJECTS)
def test_sound_and_slightly_damaged_input_is_read_or_refused(name: str) -> None:
    """A subject that refuses sound input would fuzz nothing."""
    rng = random.Random(7)
    for seed in fuzz_subjects.seeds(name)[:8]:
        fuzz_subjects.SUBJECTS[name](seed)
        for _ in range(4):
            fuzz_subjects.SUBJECTS[name](fuzz._mutated(seed[:2000], rng))
