"""Injected effects: same answers, same code but for a table, the delay in the right calls."""

from __future__ import annotations

import random
import re
import subprocess
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from in_process import Library
from tiers import FAST_TARGET, fast_for

from lance_autoresearch.build.builder import build_kernel, compose_first_kernel
from lance_autoresearch.calibration import effects
from lance_autoresearch.calibration.effects import (
    DelayRow,
    insert_delays,
    insert_probes,
    parse_key,
    rename_functions,
    shuffle_functions,
)
from lance_autoresearch.errors import UsageError
from lance_autoresearch.host.toolchain import Toolchain
from lance_autoresearch.judge.admission import admit
from lance_autoresearch.oracle.syntax import load_parser
from lance_autoresearch.targets.spec import Call

ROOT = Path(__file__).resolve().parents[2]
OPS = {
    "pq-l2": ("scan8", "table_l2"),
    "topk-merge": ("accumulate",),
    "fsst": ("decompress_i32", "decompress_i64", "decode_chunk"),
}
KERNEL = b"""use prelude::*;

/// Adds up.
#[inline(never)]
pub fn total(values: &[f32], n: usize) -> f32 {
    helper(values) + n as f32
}

fn helper(values: &[f32]) -> f32 {
    values.iter().sum()
}

const LEAST: f32 = 1.0;
fn last() -> f32 { LEAST }
"""
SLOW = 250_000_000.0
M = 16


def scan(n: int) -> Call:
    rng = np.random.default_rng(n)
    table = rng.random(M * 256, dtype=np.float32)
    codes = rng.integers(0, 256, M * n).astype(np.uint8)
    return Call((table, np.array([M], np.uint64), codes), (4 * n,))


def row(n: int, steps: float) -> DelayRow:
    """The key of `scan8(table, m, codes, out)`: lengths, m, and whether the table falls."""
    return DelayRow((M * 256, 0, M, M * n, n), M * 256 + M * n + n, steps)


def seconds(library: Library, n: int) -> float:
    call = scan(n)
    begun = time.perf_counter()
    library.call(0, call)
    return time.perf_counter() - begun


@pytest.mark.parametrize("target", fast_for(sorted(OPS), FAST_TARGET))
def test_every_target_can_be_delayed_probed_and_shuffled(target: str) -> None:
    base = compose_first_kernel(ROOT, target)
    probe = insert_probes(base, OPS[target])
    keys = [key.count(",") + 1 for key in re.findall(r"let key = \[(.*?)\];", probe.decode())]
    rows = [(DelayRow((1,) * width, 1, 0.0),) for width in keys]
    slow = insert_delays(base, dict(zip(OPS[target], rows, strict=True)))
    null = shuffle_functions(
        rename_functions(base, OPS[target], random.Random(1)), random.Random(1)
    )
    for text in (slow, probe, null):
        admit(text)
        build_kernel(ROOT, target, text)


@pytest.mark.timing
def test_a_delay_hits_the_calls_of_its_row_and_changes_no_answer() -> None:
    base = compose_first_kernel(ROOT, "pq-l2")
    slow = insert_delays(base, {"scan8": [row(256, 0.0), row(2048, SLOW)]})
    plain = Library.load(build_kernel(ROOT, "pq-l2", base).so)
    library = Library.load(build_kernel(ROOT, "pq-l2", slow).so)
    for n in (256, 250, 2048, 2111):
        assert library.call(0, scan(n)) == plain.call(0, scan(n))
    short = min(seconds(library, n) for n in (256, 250) for _ in range(3))
    long = [min(seconds(library, n) for _ in range(2)) for n in (2048, 2111)]
    assert min(long) > 0.05 > short


@pytest.mark.timing
def test_steps_scale_with_the_size_of_the_call() -> None:
    text = insert_delays(compose_first_kernel(ROOT, "pq-l2"), {"scan8": [row(2048, SLOW)]})
    library = Library.load(build_kernel(ROOT, "pq-l2", text).so)
    once, twice = (min(seconds(library, n) for _ in range(3)) for n in (2048, 2 * 2048 + 240))
    assert 1.5 < twice / once < 2.6  # (4096 + 17 n) doubles


def test_a_delay_of_nothing_is_the_same_code_as_a_delay() -> None:
    base = compose_first_kernel(ROOT, "pq-l2")
    sizes = []
    for steps in (0.0, 1000.0):
        built = build_kernel(ROOT, "pq-l2", insert_delays(base, {"scan8": [row(2048, steps)]}))
        sizes.append((built.obj.stat().st_size, built.so.stat().st_size))
    assert sizes[0] == sizes[1]


def test_the_wrapper_keeps_attributes_and_signature() -> None:
    text = insert_delays(KERNEL, {"total": [DelayRow((8, 0, 3), 8, 5.0)]}).decode()
    assert "#[inline(never)]\nfn total_undelayed(values: &[f32], n: usize) -> f32 {" in text
    assert "pub fn total(values: &[f32], n: usize) -> f32 {" in text
    assert "let key = [values.len(), lar_falls(values) as usize, n as usize];" in text
    assert text.startswith(KERNEL.decode()[:40])


@pytest.mark.parametrize(
    ("kind", "features"),
    [
        ("&[u8]", ["x.len()"]),
        ("&'a [u8]", ["x.len()"]),
        ("&mut [MaybeUninit<u8>]", ["x.len()"]),
        ("&[f32]", ["x.len()", "lar_falls(x) as usize"]),
        ("&mut [f32]", ["x.len()"]),
        ("usize", ["x as usize"]),
        ("u64", ["x as usize"]),
        ("Option<f32>", ["x.is_some() as usize"]),
        ("&mut Heap", ["(&LarOf(&*x)).lar_len()"]),
        ("&str", []),
        ("f32", []),
    ],
)
def test_what_tells_one_call_from_another(kind: str, features: list[str]) -> None:
    assert effects._list_features("x", kind) == features


def test_the_compiler_says_which_named_types_have_a_length(tmp_path: Path) -> None:
    """An alias counts as its container; what is no container counts as empty."""
    program = effects.SPIN + """
    use std::collections::{BinaryHeap, VecDeque};
    type Heap = BinaryHeap<u8>;
    struct Unknown;
    type Ring = VecDeque<u8>;
    fn sized(a: &mut Heap, b: &Vec<u8>, c: &Ring, d: &String, e: &mut Unknown) -> [usize; 5] {
        [(&LarOf(&*a)).lar_len(), (&LarOf(&*b)).lar_len(), (&LarOf(&*c)).lar_len(),
         (&LarOf(&*d)).lar_len(), (&LarOf(&*e)).lar_len()]
    }
    fn main() {
        let mut heap: Heap = [1, 2, 3].into();
        let text = String::from("seven, ");
        let lens = sized(&mut heap, &vec![0; 4], &VecDeque::from([0; 5]), &text, &mut Unknown);
        assert_eq!(lens, [3, 4, 5, 7, 0]);
    }
    """
    (tmp_path / "a.rs").write_text(program)
    rustc = Toolchain.probe(ROOT).rustc
    subprocess.run([rustc, "--edition=2024", "a.rs"], cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "a"], check=True)


def test_shuffling_moves_whole_functions_and_nothing_else() -> None:
    orders = set()
    for seed in range(30):
        text = shuffle_functions(KERNEL, random.Random(seed))
        assert Counter(text) == Counter(KERNEL)
        assert not load_parser().parse(text).root_node.has_error
        assert b"/// Adds up.\n#[inline(never)]\npub fn total" in text
        assert re.search(rb"const LEAST: f32 = 1.0;\n(fn|///)", text)
        orders.add(tuple(re.findall(rb"fn (\w+)", text)))
    assert len(orders) == 6


def test_renaming_changes_names_of_free_functions_wherever_they_stand() -> None:
    text = KERNEL.replace(b"LEAST }", b"LEAST.min(helper(&[])) }")
    new = rename_functions(text, {"total", "last"}, random.Random(3))
    (name,) = set(re.findall(rb"helper_[0-9a-f]+", new))
    assert new.replace(name, b"helper") == text
    assert new.count(name) == 3
    assert len({len(rename_functions(text, (), random.Random(seed))) for seed in range(9)}) > 4


def test_a_name_that_means_something_else_too_is_kept() -> None:
    text = b"""fn new() {}\nfn at() {}\nfn size() {}\nfn free() { new(); at(); size(); shown(); }
fn shown() { let shown = 1; format!("{shown}"); }
struct S { at: u8 }\nimpl S { fn size(&self) {} }\nfn other() { Vec::<u8>::new(); Box::new(1); }
"""
    new = rename_functions(text, (), random.Random(1))
    assert set(re.findall(rb"(\w+)_[0-9a-f]+\b", new)) == {b"free", b"other"}


def test_a_macro_stays_before_its_use() -> None:
    text = KERNEL + b"macro_rules! two { () => { 2.0 } }\nfn a() -> f32 { two!() }\nfn b() {}\n"
    for seed in range(10):
        moved = shuffle_functions(text, random.Random(seed))
        assert moved.index(b"macro_rules!") < moved.index(b"two!()")
        assert moved.startswith(KERNEL)


def test_a_key_is_read_from_a_panic() -> None:
    assert parse_key("kernels.rs:7: lar-key [4096, 0, 16] 33") == ((4096, 0, 16), 33)
    with pytest.raises(ValueError, match="no key"):
        parse_key("out of luck")


def test_what_cannot_be_delayed_is_said() -> None:
    with pytest.raises(UsageError, match="cannot find"):
        insert_delays(KERNEL, {"mean": [DelayRow((1,), 1, 1.0)]})
    with pytest.raises(UsageError, match="takes no slice"):
        insert_delays(KERNEL, {"last": [DelayRow((1,), 1, 1.0)]})
