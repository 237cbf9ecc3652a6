"""Nothing that a kernel leaves in its memory or its registers is there in its next slice.

Each kernel looks for what it left, and panics where it finds it. One call a slice: whatever is
found comes from another slice. With the switch `test-no-wipe` every one of them finds its own.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path

import pytest
from conductor_parts import HONEST, ROOT, Bench, library, programs

from lance_autoresearch.bench.conductor import Conductor
from lance_autoresearch.records import Fault, FaultKind

LOOK = """
const MAGIC: u64 = 0x5ca1_ab1e_0ddb_a115;
/// Looks at a place and marks it; within a slice it would be found as well.
unsafe fn look(at: *mut u64) { unsafe {
    let at = std::hint::black_box(at); // as if the compiler knew nothing of where it lies
    if at.read_volatile() == MAGIC { panic!("found") }
    at.write_volatile(MAGIC);
} }
"""
REGISTERS = """
use std::arch::x86_64::*;
#[repr(align(16))] struct Image([u64; 64]);
#[target_feature(enable = "fxsr")] unsafe fn registers() { unsafe {
    let mut image = Image([0; 64]);
    _fxsave64(image.0.as_mut_ptr().cast());
    for at in PLACES { look(&mut image.0[at]); }
    _fxrstor64(image.0.as_ptr().cast());
} }
"""
LASTING = """
use std::{cell::Cell, sync::atomic::AtomicU64};
#[repr(align(64))] struct Own(AtomicU64);
static OWN: Own = Own(AtomicU64::new(0));
thread_local! { static THREADS: Cell<u64> = const { Cell::new(0) }; }
unsafe fn count(at: *mut u64) { unsafe {
    let at = std::hint::black_box(at);
    if at.read_volatile() != 0 { panic!("found") }
    at.write_volatile(1);
} }
"""
FRESH = "let block = Vec::<u64>::with_capacity(500); let at = block.as_ptr().cast_mut();"
HERE = "let here = std::hint::black_box(&raw const a).cast::<u64>().cast_mut();"
MEMOS = {
    "stack": (f"{HERE} look(here.wrapping_sub(1 << 17));", ""),
    "stack-near": (f"{HERE} look(here.wrapping_sub(512));", ""),
    "heap-freed": (f"{FRESH} look(at.add(100));", ""),
    "heap-leaked": (f"{FRESH} look(at.add(100)); std::mem::forget(block);", ""),
    "heap-beside": (f"{FRESH} look(at.add(1 << 17));", ""),
    "heap-large": ("let block = Vec::<u64>::with_capacity(1 << 20); "
                   "look(block.as_ptr().cast_mut().add(1 << 19));", ""),
    "variable": ("look(OWN.0.as_ptr());", LASTING),
    "behind-variables": ("look(((OWN.0.as_ptr() as usize | 4095) - 71) as *mut u64);", LASTING),
    "variable-of-the-thread": ("THREADS.with(|t| look(t.as_ptr()));", LASTING),
    "behind-those-of-the-thread": ("THREADS.with(|t| look(((t.as_ptr() as usize | 4095) - 71) "
                                   "as *mut u64));", LASTING),
    "stack-used-once": (f"{HERE} count(here.wrapping_sub(1 << 16));", LASTING),
    "heap-used-once": (f"{FRESH} count(at.add(1 << 16));", LASTING),
    "vectors": ("registers();", REGISTERS.replace("PLACES", "[50, 51]")),
    "x87": ("registers();", REGISTERS.replace("PLACES", "[18]")),
}  # fmt: skip
"""Statements, and the items that they need."""
x86_alone = pytest.mark.skipif(platform.machine() != "x86_64", reason="registers of x86-64")
FAST = ("stack", "heap-freed", "variable", "stack-used-once", "x87")
"""One of each kind for the fast tier."""
names = [
    pytest.param(
        name,
        marks=[x86_alone] * ("arch" in memo[1]) + [pytest.mark.deep] * (name not in FAST),
    )
    for name, memo in MEMOS.items()
]


@pytest.fixture(scope="module")
def unwiped() -> Iterator[Conductor]:
    """The measuring programs without the defence."""
    with Conductor(ROOT, bin_dir=programs("lar-worker/test-no-wipe")) as conductor:
        yield conductor


def find(conductor: Conductor, bench: Bench, library: Path) -> Fault | None:
    """What a pair of slices of one call each finds."""
    return conductor.measure_pair(
        bench.honest, library, bench.pools, seed=6, rounds=6, calls=[1]
    ).fault


@pytest.mark.parametrize("name", names)
def test_what_was_left_is_not_there(bench: Bench, unwiped: Conductor, name: str) -> None:
    statements, head = MEMOS[name]
    body = f"unsafe {{ {statements} }} {HONEST}"
    built = bench.build(f"memo-{name}", library(body, LOOK + head))
    assert find(bench.conductor, bench, built) is None
    fault = find(unwiped, bench, built)
    assert fault is not None and fault.kind is FaultKind.PANIC, "the defence alone hides it"
    assert "found" in (fault.note or "")


SEEN = """
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
static SEEN: [AtomicU64; 4096] = [const { AtomicU64::new(0) }; 4096];
static COUNT: AtomicU64 = AtomicU64::new(0);
"""
REMEMBER = """
let mine = u64::from(a[0].to_bits()) << 32 | u64::from(b[0].to_bits());
let count = COUNT.fetch_add(1, Relaxed) as usize;
if SEEN[..count].iter().any(|one| one.load(Relaxed) == mine) { panic!("found") }
SEEN[count].store(mine, Relaxed);
"""


def test_no_call_comes_twice_in_a_slice(bench: Bench) -> None:
    """Variables last within a slice alone, so what is found there was met in the same one."""
    built = bench.build("remembers", library(f"{REMEMBER} {HONEST}", SEEN))
    wanted = {"calls": [1000], "rounds": 6}  # the pool has 48
    result = bench.conductor.measure_pair(bench.honest, built, bench.pools, seed=6, **wanted)
    assert result.fault is None
    assert result.times is not None and result.times.calls[0] <= 48


@pytest.mark.parametrize("far", [0, 4096, 1 << 15, 48 << 10])
def test_nothing_is_left_in_output_memory_behind_the_slots(bench: Bench, far: int) -> None:
    """One call a slice: all behind its own output is behind all slots."""
    at = f"(((out.as_ptr() as usize + 4 * out.len() + 8192) & !4095) + {far} + 64) as *mut u64"
    for name, way in (("look", "look"), ("count", "count")):
        built = bench.build(f"behind-{name}-{far}", library(
            f"unsafe {{ {way}({at}); }} {HONEST}", LOOK + LASTING))  # fmt: skip
        assert find(bench.conductor, bench, built) is None


@pytest.mark.parametrize("place", ["environ", "stdout", "tzname"])
def test_variables_of_the_c_library_cannot_be_written(bench: Bench, place: str) -> None:
    head = f"unsafe extern \"C\" {{ static mut {place}: u64; }}"
    body = f"unsafe {{ let at = &raw mut {place}; at.write_volatile(at.read_volatile()); }}"
    built = bench.build(f"libc-{place}", library(f"{body} {HONEST}", head))
    fault = find(bench.conductor, bench, built)
    assert fault is not None and fault.kind is FaultKind.SIGNAL


def test_a_panic_names_its_place_although_memory_is_closed(bench: Bench) -> None:
    fault = bench.check("panics", 'if out.len() > 2 { panic!("text {}", out.len()) }')
    assert fault is not None and fault.kind is FaultKind.PANIC
    assert "text 256" in (fault.note or "")


def test_memory_does_not_look_fresh(bench: Bench) -> None:
    """A kernel that trusts unwritten memory to be zero is wrong where Lance runs, and here."""
    statements = f"{FRESH} out[0] += *at.add(7) as f32;"
    fault = bench.check("trusting", f"{HONEST} unsafe {{ {statements} }}")
    assert fault is not None and fault.kind is FaultKind.MISMATCH


def test_heap_blocks_do_not_overlap_and_keep_their_content(bench: Bench) -> None:
    """Blocks of many sizes, grown, shrunk and freed in another order than they were made."""
    body = """let mut all: Vec<Vec<u16>> = Vec::new();
    for i in 0..300usize {
        let mut v = vec![i as u16; 1 + (i * i * 37) % 9000];
        if i % 3 == 0 { v.extend_from_slice(&[i as u16; 4000]); }
        if i % 4 == 0 { v.truncate(5); v.shrink_to_fit(); }
        all.push(v);
        if i % 5 == 4 { all.swap_remove((i * 7) % all.len()); }
    }
    #[repr(align(4096))] struct Page([u8; 5000]);
    let page = Box::new(Page([7; 5000]));
    assert!(&raw const *page as usize % 4096 == 0 && page.0[4999] == 7);
    assert!(all.iter().all(|v| v.iter().all(|x| *x == v[0])));
    assert_eq!(vec![0u8; 70_000].iter().filter(|x| **x != 0).count(), 0);
    """ + HONEST
    assert bench.check("blocks", body) is None
    assert bench.pair_fault("blocks2", body) is None
