"""What a callee must keep for its caller: the stack's size, the state of the processor."""

from __future__ import annotations

import platform

import pytest
from conductor_parts import HONEST, Bench

from lance_autoresearch.records import FaultKind
from lance_autoresearch.rules.policy import LIMITS

x86_alone = pytest.mark.skipif(platform.machine() != "x86_64", reason="registers of x86-64")

BIG = """
#[inline(never)] fn fill<const N: usize>(x: f32) -> f32 {
    let mut big = [0u8; N];
    big[N / 2] = x as u8;
    std::hint::black_box(&mut big);
    big[N / 3] as f32
}
"""
DEEP = """
#[inline(never)] fn deep(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 16]);
    if n == 0 { 0 } else { deep(n - 1) + frame[3] - n }
}
"""
CSR = "use std::arch::x86_64::*;\n"
IMAGE = (
    CSR
    + """
#[repr(align(16))] struct Image([u8; 512]);
/// Loads the x87 unit from an image of its own state with one byte changed.
#[target_feature(enable = "fxsr")] unsafe fn load(at: usize, byte: u8) { unsafe {
    let mut image = Image([0; 512]);
    _fxsave64(image.0.as_mut_ptr());
    image.0[at] = byte;
    _fxrstor64(image.0.as_ptr());
} }
"""
)
CHANGES = {
    "flush-to-zero": ("_mm_setcsr(_mm_getcsr() | 0x8000)", CSR, "MXCSR"),
    "denormals-are-zero": ("_mm_setcsr(_mm_getcsr() | 0x40)", CSR, "MXCSR"),
    "rounding": ("_mm_setcsr(_mm_getcsr() | 0x6000)", CSR, "MXCSR"),
    "unmasked": ("_mm_setcsr(_mm_getcsr() & !0x200)", CSR, "MXCSR"),
    "x87-precision": ("load(1, 0)", IMAGE, "x87 control word"),
    "x87-tags": ("load(4, 1)", IMAGE, "x87 stack"),
    "direction": ("__writeeflags(__readeflags() | 0x400)", CSR, "direction"),
    "alignment": ("__writeeflags(__readeflags() | 0x40000)", CSR, "direction or the alignment"),
}
"""Statements that change the state, the items that they need, what the note says of it."""


def test_an_array_of_512_kib_lies_on_the_stack(bench: Bench) -> None:
    assert bench.check("half", HONEST + " out[0] += 0.0 * fill::<524288>(a[0]);", BIG) is None
    assert bench.pair_fault("half2", HONEST + " out[0] += 0.0 * fill::<524288>(a[0]);", BIG) is None


@pytest.mark.parametrize(
    ("name", "statement", "head"),
    [
        ("frame", "out[0] += 0.0 * fill::<7864320>(a[0]);", BIG),
        ("recursion", "out[0] += deep(60_000) as f32;", DEEP),
        ("just-over", f"out[0] += 0.0 * fill::<{LIMITS.stack_mb << 20}>(a[0]);", BIG),
    ],
)
def test_more_stack_than_lances_threads_have_is_an_overflow(
    bench: Bench, name: str, statement: str, head: str
) -> None:
    for fault in (bench.check(name, HONEST + statement, head),
                  bench.pair_fault(name + "2", HONEST + statement, head)):  # fmt: skip
        assert fault is not None
        assert (fault.kind, fault.side) == (FaultKind.STACK, "candidate")


def test_what_fits_two_mebibytes_passes(bench: Bench) -> None:
    assert bench.check("fits", HONEST + " out[0] += 0.0 * fill::<2000000>(a[0]);", BIG) is None
    assert bench.check("shallow", HONEST + " out[0] += deep(8_000) as f32;", DEEP) is None


@x86_alone
@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_state_is_a_fault_of_its_own(bench: Bench, name: str) -> None:
    statement, head, word = CHANGES[name]
    body = f"{HONEST} unsafe {{ {statement} }};"
    for fault in (bench.check(name, body, head), bench.pair_fault(name + "2", body, head)):
        assert fault is not None
        assert (fault.kind, fault.side) == (FaultKind.PROCESSOR_STATE, "candidate")
        assert word in (fault.note or "")


@x86_alone
def test_each_call_of_a_check_is_looked_at(bench: Bench) -> None:
    """Set in one call in eight and put back at once in the next: a slice may end well."""
    body = HONEST + " unsafe { _mm_setcsr(if a[0] < 0.125 { 0x9fc0 } else { 0x1f80 }) }"
    fault = bench.check("sometimes", body, CSR)
    assert fault is not None and fault.kind is FaultKind.PROCESSOR_STATE


@x86_alone
def test_a_state_that_is_put_back_is_kept(bench: Bench) -> None:
    body = f"""unsafe {{
        let before = _mm_getcsr();
        _mm_setcsr(0x9fc0 | 0x6000);
        std::hint::black_box(a[0] / 3.0);
        _mm_setcsr(before);
    }}
    {HONEST} out[0] += std::hint::black_box(f32::MIN_POSITIVE) / 3e9 * 0.0;"""
    assert bench.check("restores", body, CSR) is None
    assert bench.pair_fault("restores2", body, CSR) is None
