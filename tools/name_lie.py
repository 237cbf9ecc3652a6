#!/usr/bin/env python3
"""The lie of a name: one library, timed against itself by a harness of the usual kind.

    python tools/name_lie.py                the table of docs/figures/names.toml, under a minute
    python tools/name_lie.py --pairs 3      quicker; writes nothing

Two processes on one core get a library's path as their argument, load it, allocate inputs and
output, and take the time themselves; the driver lets them run 50 us slices in turn, AB and BA,
and takes the median of the log ratios: 0.1 s a pair of fresh processes. The library is that of a
target (pq-l2, its scan) under names of different length: the very same bytes. Then each of name,
environment, directory and a block on the heap is varied alone; last, our own pairs get the names.
`tests/bench/test_sides_alike.py` asks the same of our pairs without timing anything.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import log
from pathlib import Path

from figures import write

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.meter import Sides, measure_pairs
from lance_autoresearch.build.builder import build_upstream
from lance_autoresearch.host import machine
from lance_autoresearch.rules.estimator import compute_samples
from lance_autoresearch.rules.policy import DEFAULT

ROOT = Path(__file__).resolve().parent.parent
HARNESS = r"""
use std::{ffi::*, io::*, time::Instant};
unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: i32) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}
#[repr(C)] struct Slice { ptr: *const u8, len: usize }
#[repr(C)] struct Call { n_args: usize, args: *const Slice, n_parts: usize, parts: *const Slice,
                         header: *mut u64, prepared: *mut u8 }
#[repr(C)] struct Init { version: u32, features: *const u64, note: *mut u8, arena: *mut u8,
                         arena_len: usize }
#[repr(align(64))] struct Header([u64; 8]);
fn bytes<T>(v: &[T]) -> Slice { Slice { ptr: v.as_ptr().cast(), len: size_of_val(v) } }
fn main() {
    let name = std::env::args().nth(1).unwrap();
    let word: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
    let path = CString::new(name.as_bytes()).unwrap();
    let (call, init): (extern "C" fn(u32, *const Call) -> u32, extern "C" fn(*const Init));
    (call, init) = unsafe {
        let library = dlopen(path.as_ptr(), 2);
        assert!(!library.is_null());
        (std::mem::transmute(dlsym(library, c"lar_call_v1".as_ptr())),
         std::mem::transmute(dlsym(library, c"lar_init_v1".as_ptr())))
    };
    let none = std::ptr::null_mut();
    init(&Init { version: 2, features: &word, note: none, arena: none, arena_len: 0 });
    let shift: usize = std::env::args().nth(3).unwrap().parse().unwrap();
    std::mem::forget(std::hint::black_box(vec![1u8; shift]));
    let (m, n) = (16usize, 2048usize);
    let table: Vec<f32> = (0..m * 256).map(|i| (i * 37 % 1009) as f32 / 1009.0).collect();
    let mut state = 1u64;
    let codes: Vec<u8> = (0..m * n).map(|_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    }).collect();
    let out = vec![0f32; n];
    let size = [m as u64];
    let mut header = Box::new(Header([0; 8]));
    let args = [bytes(&table), bytes(&size), bytes(&codes)];
    let parts = [bytes(&out)];
    let raw = Call { n_args: 3, args: args.as_ptr(), n_parts: 1, parts: parts.as_ptr(),
                     header: header.0.as_mut_ptr(), prepared: none };
    println!("{} {} {}", table.as_ptr() as usize % 64, codes.as_ptr() as usize % 64,
             out.as_ptr() as usize % 64);
    for line in stdin().lines() {
        let calls: u32 = line.unwrap().parse().unwrap();
        let begun = Instant::now();
        for _ in 0..calls { call(0, &raw); }
        println!("{}", begun.elapsed().as_nanos());
        stdout().flush().unwrap();
    }
}
"""
SLICE_NS = 50_000
ROUNDS = 400
PAIRS = 6
LENGTHS = (10, 6, 7, 8, 12, 15, 16, 19, 24, 40)
NOTE = (
    "One library against its own copy. Positions of buffers are those within a line of 64 bytes, "
    "first side against second. Pairs of a plain harness last 0.1 s."
)


@dataclass(frozen=True)
class Side:
    """How one of the two processes is started."""

    library: Path
    environment: int = 0
    """Bytes added to it."""
    directory: Path | None = None
    block: int = 20_000
    """Bytes that it takes from its heap before its buffers."""


class Process:
    """One process of the harness, pinned to the measuring core."""

    def __init__(self, harness: Path, side: Side, word: int) -> None:
        core = machine.list_cores()[-1]
        env = {"PATH": os.environ.get("PATH", ""), "PADDING": "p" * side.environment}
        words = [harness, side.library, str(word), str(side.block)]
        self.child = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=env,
            cwd=side.directory, preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )  # fmt: skip
        assert self.child.stdout is not None
        self.places = self.child.stdout.readline().strip()

    def slice(self, calls: int) -> int:
        """Nanoseconds that a number of calls took, as the process reports them."""
        assert self.child.stdin is not None and self.child.stdout is not None
        self.child.stdin.write(f"{calls}\n")
        return int(self.child.stdout.readline())

    def end(self) -> None:
        """Close its input and wait."""
        assert self.child.stdin is not None and self.child.stdout is not None
        self.child.stdin.close()
        self.child.stdout.close()
        self.child.wait()


def pair(harness: Path, sides: tuple[Side, Side], word: int, swap: bool) -> tuple[float, list[str]]:
    """Median over rounds of ln(first / second), and where the buffers lie."""
    started = [Process(harness, side, word) for side in (sides[::-1] if swap else sides)]
    one, two = started[::-1] if swap else started
    calls = max(1, SLICE_NS * 50 // max(1, one.slice(50)))
    two.slice(calls)
    ratios = []
    for number in range(ROUNDS):
        order = (one, two, two, one) if number % 2 else (two, one, one, two)
        times = [(p, p.slice(calls)) for p in order]
        mine, other = (sum(t for p, t in times if p is q) for q in (one, two))
        ratios.append(log(mine / other))
    places = [one.places, two.places]
    one.end()
    two.end()
    return statistics.median(ratios), places


Row = list[str]
"""What differs, difference, spread, places."""


def compared(harness: Path, what: str, sides: tuple[Side, Side], word: int, pairs: int) -> Row:
    """The difference in % and its spread over pairs of fresh processes."""
    found = [pair(harness, sides, word, bool(i % 2)) for i in range(pairs)]
    places = sorted({" against ".join(p) for _, p in found})
    return shown(what, [value for value, _ in found], "; ".join(places))


def shown(what: str, values: Sequence[float], places: str) -> Row:
    """One row of the table, also printed."""
    percent = [100 * value for value in values]
    spread = statistics.stdev(percent) if len(percent) > 1 else 0.0
    row = [what, f"{statistics.mean(percent):+.2f} %", f"{spread:.2f} %", places]
    print(
        "  ".join(cell.ljust(width) for cell, width in zip(row, (44, 9, 7, 0), strict=True)),
        flush=True,
    )
    return row


def features() -> int:
    """The features word that the library receives."""
    sys.path.insert(0, str(ROOT / "tests"))
    from in_process import host_features

    return host_features()


def main() -> int:
    """Build the harness, vary one thing at a time. Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=PAIRS)
    pairs = parser.parse_args().pairs
    built = build_upstream(ROOT, "pq-l2").so
    with tempfile.TemporaryDirectory(prefix="l", dir="/tmp") as place:
        home = Path(place)
        source = home / "harness.rs"
        source.write_text(HARNESS)
        harness = home / "harness"
        rustc = ["rustc", "--edition=2024", "-O", "--cap-lints=allow", str(source), "-o", harness]
        subprocess.run(rustc, check=True)
        rows = [*vary(home, harness, built, pairs), *ours(home, built, pairs)]
    if pairs == PAIRS:
        write(
            "names",
            NOTE,
            ["what differs", "gap", "SD a pair", "table, codes, output"],
            rows,
            "python tools/name_lie.py",
        )
    return 0


def vary(home: Path, harness: Path, built: Path, pairs: int) -> Iterator[Row]:
    """Names, environment, directory, heap: each alone, the rest equal."""
    word = features()
    plain, twin = Side(named(home, built, 10)), Side(named(home, built, 10, "z"))
    for length in LENGTHS:
        other = Side(named(home, built, length, "y"))
        yield compared(harness, f"plain: name of 10 against {length}", (plain, other), word, pairs)
    for size in (16, 4000):
        sides = (plain, replace(twin, environment=size))
        yield compared(harness, f"plain: environment {size} bytes longer", sides, word, pairs)
    deep = home / ("d" * 100)
    deep.mkdir()
    sides = (plain, replace(twin, directory=deep))
    yield compared(harness, "plain: directory's name 100 longer", sides, word, pairs)
    for more in (16, 32, 64):
        sides = (plain, replace(twin, block=20_000 + more))
        yield compared(harness, f"plain: a block {more} bytes larger before", sides, word, pairs)


def ours(home: Path, built: Path, pairs: int) -> Iterator[Row]:
    """The same library under the same names in our pairs: all combos of the target."""
    with Bench(ROOT, "pq-l2") as bench:
        timed = bench.inputs.epoch.timed
        for length in (10, 19, 24):
            other = named(home, built, length, "y")
            sides = Sides(named(home, built, 10), other)
            seen = measure_pairs(bench.make_meter([sides], timed, DEFAULT), 2 * pairs)
            whole = compute_samples(seen, DEFAULT).components[0].values
            yield shown(f"our pairs: name of 10 against {length}", whole, "the same on both sides")


def named(home: Path, built: Path, length: int, letter: str = "x") -> Path:
    """A copy whose file name has a given number of characters."""
    path = home / (letter * (length - 3) + ".so")
    shutil.copyfile(built, path)
    return path


if __name__ == "__main__":
    sys.exit(main())
