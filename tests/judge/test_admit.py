"""What admission and audit refuse, what they must not, and that they say how to fix it."""

from __future__ import annotations

import re

import pytest
from object_parts import SURFACE, report
from tiers import fast_for

from lance_autoresearch.build import builder
from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.host.checkout import find_root
from lance_autoresearch.judge.admission import admit, check_audit
from lance_autoresearch.judge.rust_tokens import split_tokens
from lance_autoresearch.rules.policy import MAX_KERNEL_BYTES

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
    "macro by metavariable and tree": (
        'macro_rules! m { ($n:ident $a:tt) => { $n ! $a } } m!(include_str ("/etc/passwd"));'
    ),
    "asm between raw strings": "const S: &str = r#\"\"#; fn f() { asm!() } // \"#",
    "asm behind a C string": 'const S: &CStr = c"\\""; fn f() { asm!() } // "',
    "asm behind a lifetime": "fn f<'a>() { asm!() } // '",
    "asm behind a nested comment": "/* /* */ \" */ fn f() { asm!() } // \"",
    "asm imported by an argument": (
        "macro_rules! m { ($a:ident) => { use core::arch::$a as x; } } m!(asm);"
    ),
    "asm behind a repetition": 'macro_rules! m { ($($a:ident)*) => { $($a)* ! ("") } } m!(asm);',
    "asm in an own assert": (
        "macro_rules! assert { ($a:ident $b:tt $c:tt) => { $a $b $c } }"
        'fn f() { assert!(asm ["" ] !) }'
    ),
    "asm in an imported assert": (
        "macro_rules! m { ($a:ident $b:tt $c:tt) => { $a $c $b } }"
        'use m as assert; fn f() { assert!(asm [""] !) }'
    ),
    "attribute from its pieces": (
        "macro_rules! m { ($h:tt [$i:ident] $n:ident) => { $h [$n] pub fn f() {} } }"
        "m!(#[inline] no_mangle);"
    ),
    "attribute by its path": "#[::core::prelude::v1::global_allocator] static A: u8 = 1;",
    "attribute imported": "use core::prelude::v1::global_allocator as test;",
    "std inside a tuple struct": "pub struct S(pub ::std::process::Child);",
    "std in a nested group": "use std::{{fs as f}};",
    "std behind a metavariable": "macro_rules! m { ($u:ident) => { $u ::std::fs; } }",
    "static by alias": "type C = core::cell::Cell<u8>; struct S(C); static X: S = S(C::new(1));",
    "static by renamed cell": (
        "use core::cell::UnsafeCell as K; struct A { k: K<u8> } enum B { C(A) }"
        "static X: [B; 4] = [];"
    ),
    "static behind a dyn": (
        "struct S(core::cell::Cell<u8>); static X: &(dyn Sync + 'static) = &S(Cell::new(1));"
    ),
    "deep": "fn f() { " + "(" * 300 + "1" + ")" * 300 + " }",
    "bidi": "// \u202e hidden\n",
    "byte order mark": "\ufefffn f() {}",
    "zero width": "fn f() { let a\u200bb = 1; }",
    "frontmatter": "---\n[package]\n---\nfn f() {}",
    "unknown prefix": 'fn f() { let x = f"asm"; }',
    "string that does not end": 'fn f() { let x = "; }',
    "comment that does not end": "fn f() {} /* /* */",
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
    "names like forbidden words": """
        pub struct Row { pub naked: bool, pub asm: u32, pub link_section: u8 }
        pub enum Kind { naked, thread_local(u8) }
        mod global_asm { pub fn export_name(naked: u32) -> u32 { naked } }
        fn naked(asm: u32) -> u32 { asm }
        pub fn f(no_mangle: usize, r: &Row) -> u32 {
            let naked = no_mangle != 3;
            let asm = if !naked { 1 } else { naked_once() };
            assert!(naked || asm != 2, "{asm}");
            debug_assert_eq!(vec![asm; 3].len(), 3);
            let r#extern = r.asm + u32::from(r.naked);
            let _ = (Kind::naked, Kind::thread_local(r.link_section));
            r#extern + global_asm::export_name(asm) + crate::naked(asm)
        }
        fn naked_twice() {}
        impl Row { pub fn global_allocator(&self) -> u8 { self.link_section } }
        fn naked_once() -> u32 { 7 }
        """,
    "doc comments of every kind": r'''
        //! `asm!("nop")` at the start
        /** #[no_mangle] and extern "C" */
        #[doc = "static mut X: AtomicU8 = std::fs"]
        pub fn f() { /*! include!("x") */ }
        ''',
    "strings of every kind": r'''
        pub const A: &str = r###"asm!("x")"## "###;
        pub const B: &core::ffi::CStr = c"extern \"C\" static mut";
        pub const C: &[u8] = br#"std::fs " include!("#;
        pub const D: (char, u8, char) = ('"', b'"', '\u{22}');
        pub const E: &str = "a \
            asm!(\"x\") // not a comment";
        ''',
    "static table beside a local cell": """
        use core::cell::Cell;
        pub struct Row { pub a: u8, pub b: [u16; 4] }
        pub static TABLE: [Row; 2] = [const { Row { a: 1, b: [1; 4] } }; 2];
        static LENGTH: [u8; LEN] = [0; LEN];
        const LEN: usize = 4;
        pub fn f(i: usize) -> u8 {
            let c = Cell::new(0u8);
            c.set(TABLE[i & 1].a + LENGTH[i & 3]);
            c.get()
        }
        pub struct Local(pub Cell<u8>);
        """,
    "macro names of its own": """
        macro_rules! print_to { ($o:expr, $v:expr) => { $o[0] = $v }; }
        macro_rules! env_of { ($a:expr) => { $a }; }
        pub fn f(out: &mut [f32]) { print_to!(out, env_of!(2.0)); }
        """,
    "precise capturing": """
        pub fn f<'a>(env: &'a [u8]) -> impl Iterator<Item = u8> + use<'a> {
            let asm = env; asm.iter().copied()
        }
        """,
    "libm": """
        pub fn f(x: f32, y: f64) -> f64 {
            let a = x.tanh() + x.sinh() + x.cosh() + x.asin() + x.acos() + x.exp() + x.ln_1p();
            f64::from(a) + y.tanh() + y.asinh() + y.atan2(y.acos()) + y.cbrt() + y.hypot(1.0)
        }
        """,
    "modules like those of std": """
        pub mod fs { pub fn read() -> u8 { 1 } }
        mod a { pub mod std { pub mod process { pub fn go() -> u8 { 2 } } } }
        pub fn f() -> u8 { self::fs::read() + a::std::process::go() + crate::a::std::process::go() }
        """,
    "nested but shallow": "pub fn f() -> u8 { " + "(" * 100 + "1" + ")" * 100 + " }",
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
def test_a_dishonest_kernel_is_refused_with_line_and_fix(name: str) -> None:
    with pytest.raises(RejectedKernel) as caught:
        admit((REFUSED[name] and "\n\n" + REFUSED[name]).encode())
    assert caught.value.allowed, "it says what an honest kernel does"
    assert re.fullmatch(r"kernels\.rs:\d+", caught.value.where or "")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "text,expected",
    [
        ("\ufefffn f() {}", r"begins with a byte order mark \(U\+FEFF\)"),
        ("fn f() {} // \ufeff", r"a byte order mark \(U\+FEFF\) inside the text"),
        ("fn f() {}\0", r"a NUL character \(U\+0000\)"),
        ("// \u202e", r"an invisible direction mark \(U\+202E RIGHT-TO-LEFT OVERRIDE\)"),
        ("// \u2066", r"an invisible direction mark \(U\+2066 LEFT-TO-RIGHT ISOLATE\)"),
        ("// \u200b", r"an invisible blank \(U\+200B ZERO WIDTH SPACE\)"),
        ("---\nx\n---\nfn f() {}", "a frontmatter"),
        ("fn f() { " + "[" * 300, "nested deeper than 256 levels"),
        ("const S: &str = r#\"", "a raw string that does not begin or end as one"),
    ],
)
def test_what_hides_or_breaks_a_text_is_named(text: str, expected: str) -> None:
    with pytest.raises(RejectedKernel, match=expected):
        admit(text.encode())


@pytest.mark.parametrize(
    "text,expected",
    [
        ('#!/ "\nfn f() { unsafe { core::arch::asm!("nop") } } // "', "`asm` is"),
        ('#!/ "\n#![no_builtins] // "\nfn f() {}', r"`#!\[no_builtins\]` is"),
        ("#!/* x\nfn f() { asm!() } // */", "`asm` is"),
        ("#! r#\"\nfn f() { asm!() } // \"#", "`asm` is"),
        ("#!/ '\r\nfn f() { asm!() } // '", "`asm` is"),
        ('\ufeff#!/ "\nfn f() { asm!() } // "', "byte order mark"),
        ('#!/ "\n---\n"\n---\nfn f() { asm!() }', "frontmatter"),
    ],
)
def test_a_shebang_line_hides_nothing(text: str, expected: str) -> None:
    with pytest.raises(RejectedKernel, match=expected):
        admit(text.encode())


def test_a_shebang_line_is_no_part_of_the_kernel() -> None:
    admit(b"#!/usr/bin/env asm! extern\n" + SURFACE.encode())
    builder.build_kernel(find_root(), "pq-l2", b"#!/usr/bin/env asm! extern\n" + SURFACE.encode())


@pytest.mark.parametrize("name", ADMITTED)
def test_an_honest_near_miss_is_admitted(name: str) -> None:
    admit((ADMITTED[name] + SURFACE).encode())


@pytest.mark.parametrize("name", fast_for(ADMITTED, *list(ADMITTED)[::5]))
def test_an_honest_near_miss_builds_and_passes_the_audit(name: str) -> None:
    text = (ADMITTED[name] + SURFACE).encode()
    built = builder.build_kernel(find_root(), "pq-l2", text)
    check_audit(report(built.obj, built.so))


@pytest.mark.deep
def test_upstream_and_our_own_kernels_pass_both() -> None:
    root = find_root()
    kernels = [(t, builder.compose_first_kernel(root, t)) for t in ("pq-l2", "topk-merge", "fsst")]
    ideas = [(p.parent.name, p.read_bytes()) for p in root.glob("records/ideas/*/*.rs")]
    kernels += [(target, text) for target, text in ideas if not text.startswith(b"//! hack")]
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
