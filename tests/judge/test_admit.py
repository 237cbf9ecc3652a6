"""What admission and audit refuse, what they must not, and that they say how to mend it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lance_autoresearch.build import builder
from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.host.checkout import find_root
from lance_autoresearch.judge.admission import admit, check_audit
from lance_autoresearch.judge.rust_tokens import split_tokens
from lance_autoresearch.rules.policy import MAX_KERNEL_BYTES

SURFACE = """
pub fn scan8(t: &[f32], m: usize, c: &[u8], out: &mut [f32]) {
    out.fill(t[0] + (m + c.len()) as f32)
}
pub fn table_l2(_: &[f32], _: usize, q: &[f32], out: &mut [f32]) { out.fill(q[0]) }
"""

REFUSED = {
    "asm": 'fn f() { unsafe { core::arch::asm!("rdtsc") } }',
    "asm renamed": "use core::arch::asm as a;",
    "asm raw": 'fn f() { unsafe { r#asm!("nop") } }',
    "asm by reordering": 'macro_rules! m { ($b:tt $a:ident) => { $a $b ("nop") } } m!(! asm);',
    "asm in a macro": 'macro_rules! m { () => { core::arch::asm!("nop") } }',
    "global asm": 'core::arch::global_asm!("x: ret");',
    "naked": "#[naked] fn f() {}",
    "macro by metavariable": "macro_rules! m { ($n:ident) => { $n!() } }",
    "extern block": 'unsafe extern "C" { fn getpid() -> i32; }',
    "extern fn": 'pub extern "C" fn atexit() {}',
    "extern crate": "extern crate std as s;",
    "no_mangle": "#[unsafe(no_mangle)] pub fn clock_gettime() {}",
    "no_mangle by cfg_attr": "#[cfg_attr(all(), no_mangle)] pub fn f() {}",
    "no_mangle by macro": "macro_rules! m { ($a:meta) => { #[$a] pub fn f() {} } } m!(no_mangle);",
    "used by macro": "macro_rules! m { ($a:meta) => { #[$a] const F: u8 = 1; } } m!(used);",
    "link_section": '#[unsafe(link_section = ".init_array")] static F: fn() = f; fn f() {}',
    "export_name": '#[export_name = "memcpy"] pub fn f() {}',
    "linkage": '#[linkage = "weak"] pub fn f() {}',
    "path": '#[path = "/etc/passwd"] mod x { }',
    "mod file": "mod helper;",
    "include": 'const X: &[u8] = include_bytes!("/etc/passwd");',
    "include_str path": 'const X: &str = core::include_str!("x");',
    "include import": "use std::include as i;",
    "env": 'const X: &str = env!("HOME");',
    "option_env": 'const X: Option<&str> = option_env!("HOME");',
    "inner feature": "#![feature(asm)]",
    "inner no_std": "#![no_std]",
    "inner crate_type": '#![crate_type = "bin"]',
    "global allocator": "#[global_allocator] static A: std::alloc::System = std::alloc::System;",
    "static mut": "static mut CALLS: u32 = 0;",
    "static atomic": "static CALLS: core::sync::atomic::AtomicU64 = AtomicU64::new(0);",
    "static cell": "struct S(core::cell::UnsafeCell<u32>); static X: S = S(1);",
    "static lock": "static M: std::sync::Mutex<Vec<u8>> = std::sync::Mutex::new(Vec::new());",
    "static once": "static M: std::sync::OnceLock<u8> = std::sync::OnceLock::new();",
    "static by macro": "macro_rules! s { ($t:ty) => { static X: $t = f(); } } s!(AtomicU8);",
    "thread_local": "thread_local! { static X: u8 = 1; }",
    "std::fs": 'fn f() { std::fs::read("/x").unwrap(); }',
    "std group": "use std::{mem, thread as t};",
    "std group self": "use std::{self as s};",
    "std alias": "use std as s; fn f() { s::fs::read(1); }",
    "std glob": "use std::*;",
    "std leading": "use ::std::process::exit;",
    "std::env": 'fn f() { std::env::var("X"); }',
    "std::time": "use std::time::Instant;",
    "std::net": "use std::net::TcpStream;",
    "std::os": "use std::os::fd::AsRawFd;",
    "rdtsc": "fn f() -> u64 { unsafe { core::arch::x86_64::_rdtsc() } }",
    "rdtscp": "use std::arch::x86_64::__rdtscp;",
    "cpuid": "use std::arch::x86_64::__cpuid;",
    "clflush": "use std::arch::x86_64::_mm_clflush;",
    "detect": 'fn f() -> bool { is_x86_feature_detected!("avx2") }',
    "detect std": 'fn f() -> bool { std::is_x86_feature_detected!("avx2") }',
    "println": 'fn f() { println!("slices 100 ns 1"); }',
    "stdout": "fn f() { std::io::stdout(); }",
    "hook": "fn f() { std::panic::set_hook(x); }",
    "catch": "fn f() { let _ = std::panic::catch_unwind(|| 1); }",
    "shim init": "fn f() { unsafe { lar_shim::init(core::ptr::null()) } }",
    "shim glob": "use lar_shim::*;",
    "unknown attribute": "#[serde(x)] fn f() {}",
    "bidi": "// \u202e hidden\n",
    "nul": "fn f() {}\0",
    "empty": "",
    "only comments": "// nothing\n/* at /* all */ */\n",
}

ADMITTED = {
    "intrinsics": """
        use core::arch::x86_64::*;
        #[target_feature(enable = "avx2,fma")]
        unsafe fn wide(x: &[f32; 8]) -> __m256 { unsafe { _mm256_loadu_ps(x.as_ptr()) } }
        #[inline(never)]
        pub fn pick(x: &[f32; 8]) -> f32 {
            if lar_shim::has(lar_shim::Feature::Avx2) {
                unsafe { _mm256_cvtss_f32(wide(x)) }
            } else { x[0] }
        }""",
    "shim imports": "use lar_shim::{Feature, has}; pub fn f() -> bool { has(Feature::Avx2) }",
    "const table": f"pub const T: [u8; 65536] = [{'0x7f, ' * 65535}1];",
    "static table": 'pub static T: [[u16; 4]; 2] = [[1; 4]; 2]; pub static N: &str = "n";',
    "static struct": "pub struct P { pub a: u8 } pub static P1: P = P { a: 1 };",
    "atomics off statics": """
        use core::sync::atomic::AtomicU32;
        pub fn f() -> u32 { AtomicU32::new(1).into_inner() }""",
    "stack": "pub fn f(i: usize) -> u8 { let s = [7u8; 1 << 16]; s[i & 65535] }",
    "uninit": """
        use std::mem::{self, MaybeUninit};
        pub fn f() -> usize {
            let mut s: [MaybeUninit<u64>; 64] = [const { MaybeUninit::uninit() }; 64];
            s[0].write(1); mem::size_of_val(&s)
        }""",
    "heap": """
        use std::alloc::{Layout, alloc, dealloc};
        pub fn f(n: usize) -> usize {
            let v: Vec<u8> = Vec::with_capacity(n);
            let l = Layout::from_size_align(64, 64).unwrap();
            unsafe { let p = alloc(l); dealloc(p, l) };
            v.capacity()
        }""",
    "generics": """
        pub trait Step { const N: usize; }
        pub struct Four; impl Step for Four { const N: usize = 4; }
        pub fn f<S: Step, const K: usize>(x: &[u8; K]) -> usize {
            fn inner(n: usize) -> usize { n + 1 }
            inner(S::N) + x.len()
        }
        pub fn g() -> usize { f::<Four, 2>(&[1, 2]) }""",
    "asserts": 'pub fn f(n: usize) { debug_assert!(n > 0, "n {n}"); assert_ne!(n, 7); }',
    "words in strings and comments": r"""
        //! Inner docs that say asm!, extern "C", static mut and std::fs.
        #![allow(dead_code, clippy::all)]
        /// Unlike asm! or include!("x"), this is fine: `println!("{}", env!("X"))`.
        pub const S: &str = "asm!(\"nop\") extern static mut"; /* thread_local! /* _rdtsc */ */
        pub const R: &str = r#"global_asm!("x") std::process"#;
        pub const B: &[u8] = b"include_bytes!"; pub const C: char = '"'; pub const Q: char = '\'';
        pub fn f<'asm>(x: &'asm u8) -> &'asm u8 { x }""",
    "look-alike names": """
        pub fn f(env: usize, include: usize) -> bool { env != include }
        pub mod thread { pub fn go() {} }
        pub struct Time { pub fs: u8, pub path: u8 }
        pub fn g(t: Time) -> u8 { thread::go(); t.fs + t.path }""",
    "macros": """
        macro_rules! lanes { ($($n:ident => $i:literal),*) => { $(pub fn $n() -> u8 { $i })* } }
        lanes!(a => 1, b => 2);
        macro_rules! documented { ($(#[$m:meta])* $n:ident) => { $(#[$m])* pub fn $n() {} } }
        documented!(#[inline] c);""",
    "early return": "pub fn f(x: &[u8]) -> u8 { if x.is_empty() { return 0; } x[0] }",
    "tune knobs": "pub const UNROLL: usize = 4; // tune: 1 2 4 8",
    "cfg twins": """
        #[cfg(target_arch = "x86_64")] pub fn t() {}
        #[cfg(not(target_arch = "x86_64"))] pub fn t() {}""",
    "prefetch and streaming": """
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        pub fn f(p: *const i8) { unsafe { _mm_prefetch::<_MM_HINT_T0>(p) } }""",
    "errors of std": """
        use std::io;
        pub fn f() -> io::Error { io::Error::new(io::ErrorKind::Other, "x") }""",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_dishonest_kernel_is_refused_with_line_and_mend(name: str) -> None:
    with pytest.raises(RejectedKernel) as caught:
        admit(("\n\n" + REFUSED[name]).encode() if REFUSED[name] else b"")
    assert caught.value.allowed, "it says what an honest kernel does"
    assert re.fullmatch(r"kernels\.rs:\d+", caught.value.where or "")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("name", ADMITTED)
def test_an_honest_near_miss_is_admitted_builds_and_passes_the_audit(name: str) -> None:
    text = (ADMITTED[name] + SURFACE).encode()
    admit(text)
    built = builder.build_kernel(find_root(), "pq-l2", text)
    check_audit(report(built.obj, built.so))


@pytest.mark.deep
def test_upstream_and_our_own_kernels_pass_both() -> None:
    root = find_root()
    kernels = [(t, builder.compose_first_kernel(root, t)) for t in ("pq-l2", "topk-merge", "fsst")]
    kernels += [(p.parent.name, p.read_bytes()) for p in root.glob("records/ideas/*/*.rs")]
    assert len(kernels) > 3
    for target, text in kernels:
        admit(text)
        built = builder.build_kernel(root, target, text)
        check_audit(report(built.obj, built.so))


def test_the_line_is_that_of_the_token() -> None:
    with pytest.raises(RejectedKernel) as caught:
        admit(b'/* a\n\n*/ const S: &str = "\n\n";\nfn f() { asm!("") }')
    assert caught.value.where == "kernels.rs:6" and "`asm`" in caught.value.what


def test_sizes() -> None:
    admit((SURFACE + "pub fn g() -> u8 { 1 }\n".replace("g", "g{}") * 0).encode())
    generated = "".join(
        f"pub fn f{i}(x: u32) -> u32 {{ x.wrapping_mul({i}) }}\n" for i in range(1500)
    )
    admit(generated.encode())
    with pytest.raises(RejectedKernel, match="has 2000000 bytes"):
        admit(b"//" + b"x" * 1_999_998)
    assert MAX_KERNEL_BYTES < 2_000_000
    with pytest.raises(RejectedKernel, match="not UTF-8"):
        admit(b"fn f() {}\n// \xff")


def test_tokens_are_rusts() -> None:
    text = "r#fn 'a 'a' '\\'' b'\\x7f' br#\"a\"b\"# 0..n 1.5e3 /*/**/*/ x // c\n\"a\\\"b\" y!=z"
    assert [(t.kind, t.text) for t in split_tokens(text)] == [
        ("word", "fn"), ("life", "'a"), ("text", "'a'"), ("text", "'\\''"), ("text", "b'\\x7f'"),
        ("text", 'br#"a"b"#'), ("number", "0"), ("sign", "."), ("sign", "."), ("word", "n"),
        ("number", "1.5e3"), ("word", "x"), ("text", '"a\\"b"'), ("word", "y"), ("sign", "!="),
        ("word", "z"),
    ]  # fmt: skip
    assert [t.line for t in split_tokens("a\n\n'\\n' /*\n*/ b")] == [1, 3, 4]


# ---- audit, on real objects of kernels that admission never saw -----------------------------

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
