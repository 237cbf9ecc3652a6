"""The audit of what was built, on real objects of kernels that admission never saw."""

from __future__ import annotations

import pytest
from object_parts import SURFACE, report

from lance_autoresearch.build import builder
from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.host.checkout import find_root
from lance_autoresearch.judge.admission import check_audit

HOSTILE = {
    "static AtomicU64": (
        "use std::sync::atomic::*; static N: AtomicU64 = AtomicU64::new(0);"
        "pub fn n() -> u64 { N.fetch_add(1, Ordering::Relaxed) }",
        r"writable state in \.(bss|data) \(kernels::N\)",
    ),
    "data": (
        "static mut N: u64 = 5; pub fn n() -> u64 { unsafe { N += 1; N } }",
        r"writable state in \.data",
    ),
    "init_array": (
        '#[used] #[unsafe(link_section = ".init_array")] static I: extern "C" fn() = i;'
        'extern "C" fn i() {}',
        r"writable state in \.init_array",
    ),
    "own section": (
        '#[unsafe(link_section = ".mine")] static mut N: u64 = 5;'
        "pub fn n() -> u64 { unsafe { N += 1; N } }",
        r"writable state in \.mine",
    ),
    "thread local": (
        "use std::cell::Cell; thread_local! { static N: Cell<u32> = const { Cell::new(0) }; }"
        "pub fn n() -> u32 { N.set(N.get() + 1); N.get() }",
        "writable state in|needs `",
    ),
    "libc": (
        'unsafe extern "C" { fn getpid() -> i32; } pub fn n() -> i32 { unsafe { getpid() } }',
        "needs `getpid`",
    ),
    "clock": ("pub fn n() -> std::time::Instant { std::time::Instant::now() }", "needs `.*time"),
    "print": ('pub fn n() { println!("forged") }', "needs `std::io::stdio"),
    "detect": (
        'pub fn n() -> bool { is_x86_feature_detected!("avx512vbmi") }',
        "needs `std_detect",
    ),
    "hash map": (
        "pub fn n() -> std::collections::HashMap<u8, u8> { std::collections::HashMap::new() }",
        "needs `|writable",
    ),
    "exports": ("#[unsafe(no_mangle)] pub fn clock_gettime() -> i32 { 0 }", "exports `clock_get"),
    "shim": (
        "pub unsafe fn n() { unsafe { lar_shim::init(core::ptr::dangling()) } }",
        "needs `lar_shim::|needs `std",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_audit_names_what_admission_would_have(name: str) -> None:
    text, expected = HOSTILE[name]
    built = builder.build_kernel(find_root(), "pq-l2", (text + SURFACE).encode())
    with pytest.raises(RejectedKernel, match=expected) as caught:
        check_audit(report(built.obj, built.so), ("\n" + text).encode())
    assert caught.value.allowed
    assert caught.value.where == "kernels.rs:2"
