"""Is the slice what Lance publishes? The crate, built by cargo, against the slice, on equal inputs.

One small program per crate reads cases on stdin and writes results on stdout; it is built
twice, once against the crate from the registry, once against our slice of it, and both must
write the same bytes. Builds are kept under `.lar/cache/fidelity` (the first run takes minutes,
the next seconds). Where a crate is too heavy to build here (lance-linalg and lance-encoding
need arrow, object stores and protobuf), every line of the slice is looked up in the archive.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lance_autoresearch import oracle
from lance_autoresearch.build import builder
from lance_autoresearch.build import kit as kits
from lance_autoresearch.build.flags import select_rust_flags
from lance_autoresearch.host.checkout import ensure_lar_dir, find_root
from lance_autoresearch.host.toolchain import Toolchain
from lance_autoresearch.oracle.archives import Archives
from lance_autoresearch.oracle.extracts import Cutter
from lance_autoresearch.oracle.lock import Lock
from lance_autoresearch.oracle.manifest import parse_manifest

ROOT = find_root()
READ = """
use std::io::{Read, Write};
struct Input(Vec<u8>, usize);
impl Input {
    fn new() -> Self {
        let mut v = vec![];
        std::io::stdin().read_to_end(&mut v).unwrap();
        Input(v, 0)
    }
    fn more(&self) -> bool { self.1 < self.0.len() }
    fn bytes(&mut self, n: usize) -> Vec<u8> { self.1 += n; self.0[self.1 - n..self.1].to_vec() }
    fn u32(&mut self) -> u32 { u32::from_le_bytes(self.bytes(4).try_into().unwrap()) }
}
"""
FSST = (
    READ
    + """
fn main() {
    let (mut input, mut answer) = (Input::new(), vec![]);
    while input.more() {
        let (t, c, n) = (input.u32() as usize, input.u32() as usize, input.u32() as usize);
        let (table, codes) = (input.bytes(t), input.bytes(c));
        let off: Vec<i32> = (0..n).map(|_| input.u32() as i32).collect();
        let (mut out, mut out_off) = (vec![0u8; 8 * c], vec![0i32; n]);
        match upstream::decompress(&table, &codes, &off, &mut out, &mut out_off) {
            Err(e) => writeln!(answer, "error {:?}", e.kind()).unwrap(),
            Ok(()) => {
                writeln!(answer, "ok {} {:?}", out.len(), out_off).unwrap();
                answer.extend_from_slice(&out);
            }
        }
    }
    std::io::stdout().write_all(&answer).unwrap();
}
"""
)
BITPACKING = (
    READ
    + """
use upstream::BitPacking;
macro_rules! one { ($t:ty, $input:ident, $answer:ident, $width:ident) => {{
    let size = size_of::<$t>();
    let values: Vec<$t> = (0..1024)
        .map(|_| <$t>::from_le_bytes($input.bytes(size).try_into().unwrap())).collect();
    let mut packed: Vec<$t> = vec![0; 128 * $width / size];
    let mut back: Vec<$t> = vec![0; 1024];
    unsafe { <$t as BitPacking>::unchecked_pack($width, &values, &mut packed) };
    unsafe { <$t as BitPacking>::unchecked_unpack($width, &packed, &mut back) };
    for v in packed.iter().chain(&back) { $answer.extend_from_slice(&v.to_le_bytes()); }
}}}
fn main() {
    let (mut input, mut answer) = (Input::new(), vec![]);
    while input.more() {
        let (size, width) = (input.u32(), input.u32() as usize);
        match size {
            1 => one!(u8, input, answer, width),
            2 => one!(u16, input, answer, width),
            4 => one!(u32, input, answer, width),
            _ => one!(u64, input, answer, width),
        }
    }
    std::io::stdout().write_all(&answer).unwrap();
}
"""
)
PROC_MACROS = r"""
#![allow(unused)]
use core::mem::{MaybeUninit, size_of};
mod paste { macro_rules! paste { ($($t:tt)*) => { $($t)* } } pub(crate) use paste; }
mod seq_macro {
    macro_rules! seq {
        ($i:ident in 0..8 $b:tt) => { crate::seq_macro::seq!(@ $i $b 0 1 2 3 4 5 6 7) };
        ($i:ident in 0..16 $b:tt) => {
            crate::seq_macro::seq!(@ $i $b 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15) };
        ($i:ident in 0..32 $b:tt) => { crate::seq_macro::seq!(@ $i $b 0 1 2 3 4 5 6 7 8 9 10 11 12
            13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31) };
        ($i:ident in 0..64 $b:tt) => { crate::seq_macro::seq!(@ $i $b 0 1 2 3 4 5 6 7 8 9 10 11 12
            13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41
            42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63) };
        (@ $i:ident $b:tt $n:literal $($m:literal)*) => {
            { const $i: usize = $n; $b }
            crate::seq_macro::seq!(@ $i $b $($m)*);
        };
        (@ $i:ident $b:tt) => {};
    }
    pub(crate) use seq;
}
macro_rules! array_ref { ($a:expr, $o:expr, $n:expr) => {
    <&[_; $n]>::try_from(&$a[$o..$o + $n]).unwrap() } }
macro_rules! array_mut_ref { ($a:expr, $o:expr, $n:expr) => {
    <&mut [_; $n]>::try_from(&mut $a[$o..$o + $n]).unwrap() } }
"""
BITPACKING_MANIFEST = """
version = "14.0.2"
[source]
kind = "registry"
crates = ["lance-bitpacking"]
"""
BITPACKING_EXTRACTS = """
[[kernel]]
crate = "lance-bitpacking"
file = "src/lib.rs"
items = [
    "FL_ORDER", "FastLanes", "pack!", "unpack!", "seq_t!", "BitPacking", "BitPackingUninit",
    "impl_bitpacking_compat!", "pack_8!", "unpack_8!", "pack_16!", "unpack_16!", "pack_32!",
    "unpack_32!", "pack_64!", "unpack_64!", "<u8 as FastLanes>", "<u16 as FastLanes>",
    "<u32 as FastLanes>", "<u64 as FastLanes>", "<u8 as BitPackingUninit>",
    "<u16 as BitPackingUninit>", "<u32 as BitPackingUninit>", "<u64 as BitPackingUninit>",
]
edits = [{ old = "$T:ty", new = "$T:ident", count = 2 }]
"""


def kept(name: str, *parts: str) -> Path:
    """Directory of a build under the cache, named by what it is made from."""
    key = hashlib.sha256("\0".join([*parts, Toolchain.probe(ROOT).verbose]).encode()).hexdigest()
    return ensure_lar_dir(ROOT, "cache", "fidelity", f"{name}-{key[:16]}")


def published(crate: str, program: str) -> Path:
    """The program against the crate from the registry, built by cargo."""
    manifest = (
        f'[package]\nname = "fidelity-{crate}"\nversion = "0.0.0"\nedition = "2024"\n'
        f'[dependencies]\n{crate} = "={Lock.read(ROOT).version}"\n[workspace]\n'
        "[profile.release]\nopt-level = 0\n"  # integer code: no bit depends on it; quicker to build
    )
    home = kept(crate, manifest, program)
    if not (home / "program").is_file():
        (home / "src").mkdir(exist_ok=True)
        (home / "Cargo.toml").write_text(manifest)
        (home / "src" / "main.rs").write_text(program)
        tools = Toolchain.probe(ROOT)
        env = {k: v for k, v in os.environ.items() if not k.startswith(("RUST", "CARGO_BUILD"))}
        env["CARGO_TARGET_DIR"] = str(home / "target")
        env["PATH"] = f"{Path(tools.rustc).parent}:{env['PATH']}"
        call([tools.cargo, "build", "--release", "--quiet"], home, env)
        made = Path(env["CARGO_TARGET_DIR"], "release", f"fidelity-{crate}")
        made.rename(home / "program")
        shutil.rmtree(home / "target")
    return home / "program"


def sliced(name: str, text: str, *options: str) -> Path:
    """The program against a slice, built by rustc alone."""
    home = kept(name, text, *options)
    if not (home / "program").is_file():
        (home / "main.rs").write_text(text)
        rustc = Toolchain.probe(ROOT).rustc
        argv = [rustc, "--edition=2024", "--cap-lints=allow", *options, "-o", "building", "main.rs"]
        call(argv, home)
        (home / "building").rename(home / "program")
    return home / "program"


def call(argv: list[str], cwd: Path, env: dict[str, str] | None = None) -> None:
    """Run a build; its complaint is the failure."""
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def answers(program: Path, request: bytes) -> bytes:
    """What the program writes."""
    return subprocess.run([program], input=request, capture_output=True, check=True).stdout


def fsst_cases(seed: int) -> Iterator[bytes]:
    """Chunks of upstream's own codes, whole and damaged, as the program reads them."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("etaoinshrdlu", k=rng.randrange(2, 9))) for _ in range(400)]
    texts = [
        [" ".join(rng.choices(words, k=rng.randrange(0, 6))).encode() for _ in range(600)],
        [f"https://{w}.example/{rng.randrange(10**6)}".encode() for w in words],
        [bytes(rng.choices(range(1, 256), k=rng.randrange(0, 20))) for _ in range(300)],
    ]
    for strings in texts:
        ends = [0]
        for s in strings:
            ends.append(ends[-1] + len(s))
        request = struct.pack(f"<Q{len(ends)}I", len(strings), *ends) + b"".join(strings)
        answer = answers(kits.compile_maker(ROOT, "fsst"), request)
        table, size = answer[:2312], struct.unpack_from("<Q", answer, 2312)[0]
        off = list(struct.unpack_from(f"<{len(ends)}i", answer, 2320))
        codes = answer[2320 + 4 * len(ends) :]
        assert len(codes) == size
        for _ in range(60):
            first = rng.randrange(len(off) - 1)
            yield case(table, codes, off[first : rng.randrange(first + 1, len(off)) + 1])
            yield case(table, codes, damaged(off, rng, -3, len(codes) + 3))
            yield case(bytes(damaged(list(table), rng, 0, 255)), codes, off)
            cut = bytes(damaged(list(codes), rng, 250, 255))
            yield case(table, cut[: rng.choice((len(cut), len(cut) - 1))], off)
        yield case(table, codes, [])
        yield case(table, codes, [3])
        yield case(table[:-1], codes, off)
        yield case(b"", b"", [0, 0])


def damaged(values: list[int], rng: random.Random, low: int, high: int) -> list[int]:
    """A copy with up to three values replaced."""
    copy = list(values)
    for _ in range(rng.randrange(1, 4)):
        copy[rng.choice((0, -1, rng.randrange(len(copy))))] = rng.randint(low, high)
    return copy


def case(table: bytes, codes: bytes, off: list[int]) -> bytes:
    """One request."""
    head = struct.pack("<3I", len(table), len(codes), len(off))
    return head + table + codes + struct.pack(f"<{len(off)}i", *off)


@pytest.mark.deep
def test_fsst_slice_decodes_as_the_published_crate() -> None:
    ours = builder.build_upstream(ROOT, "fsst", flags="quote")
    parts = kits.compile_kit(ROOT, "fsst", flags="quote")
    flags = select_rust_flags(parts.tools.host, "quote")
    slice_ = sliced(
        "fsst-slice", "use kernels as upstream;" + FSST, *flags,
        "--extern", f"kernels={ours.home / 'libkernels.rlib'}",
        "-L", f"dependency={parts.prelude}", "-L", f"dependency={parts.shim}",
    )  # fmt: skip
    crate = published("fsst", "use fsst::fsst as upstream;" + FSST)
    request = b"".join(fsst_cases(seed=14))
    want = answers(crate, request)
    assert want.count(b"ok ") > 300 and want.count(b"error InvalidData") > 100
    assert b"error InvalidInput" in want
    assert answers(slice_, request) == want


def bitpacking_cases(seed: int) -> Iterator[bytes]:
    """Every type and width, with values that fit and values that do not."""
    rng = random.Random(seed)
    for size in (1, 2, 4, 8):
        for width in range(8 * size + 1):
            for bits in (width, 8 * size):
                limit = (1 << bits) - 1
                values = b"".join(
                    rng.randint(0, limit).to_bytes(size, "little") for _ in range(1024)
                )
                yield struct.pack("<2I", size, width) + values


@pytest.mark.deep
def test_bitpacking_slice_packs_and_unpacks_as_the_published_crate() -> None:
    manifest = parse_manifest(BITPACKING_MANIFEST, {"bitpack": BITPACKING_EXTRACTS})
    entry = manifest.get_target("bitpack").entries[0]
    text = Cutter(Archives(ROOT, manifest), None).cut_text(entry).decode()
    program = PROC_MACROS + "mod upstream {\nuse super::*;\n" + text + "}\n" + BITPACKING
    slice_ = sliced("bitpacking-slice", program, "-Copt-level=0", "-Cpanic=abort")
    crate = published("lance-bitpacking", "use lance_bitpacking as upstream;" + BITPACKING)
    request = b"".join(bitpacking_cases(seed=14))
    want = answers(crate, request)
    assert len(want) > 1_000_000 and answers(slice_, request) == want


@pytest.mark.parametrize("target", sorted(oracle.load_manifest(ROOT).targets))
def test_every_line_of_a_slice_is_a_line_of_the_archive(target: str) -> None:
    """But for `pub`, declared edits, trailing comments, places noted and braces closed."""
    manifest = oracle.load_manifest(ROOT)
    archives = Archives(ROOT, manifest)
    cutter = Cutter(archives, Lock.read(ROOT))
    for entry in manifest.get_target(target).entries:
        path = (
            archives.ensure_directory(entry.crate, Lock.read(ROOT).archives[entry.crate])
            / entry.file
        )
        theirs = path.read_text()
        for edit in entry.edits:
            theirs = theirs.replace(plain(edit.old), plain(edit.new)).replace(edit.old, edit.new)
        known = {plain(x) for line in theirs.splitlines() for x in (line, line.split(" //")[0])}
        for line in cutter.cut_text(entry).decode().splitlines():
            if not line.startswith(f"// {entry.source}:") and line != "}":
                assert plain(line) in known, f"{entry.source}: {line}"


def plain(line: str) -> str:
    """A line without what lifting and inlining may add."""
    return re.sub(r"\bpub(\([^)]*\))? |#\[inline\] ", "", line).rstrip()
