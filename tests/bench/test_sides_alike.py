"""Nothing but the kernel may differ between the two sides of a pair.

The same library bytes under names of different length measure 4 % apart in a plain harness: the
name moves the heap by 16 bytes and with it the alignment of every later buffer. Here each thing
that could do so is varied alone, and the kernel reports what it sees of its process: bytes of
arguments and environment, where a fresh heap block and its buffers lie within their page.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import conductor_parts as toys
import pytest

from lance_autoresearch.bench.conductor import Conductor
from lance_autoresearch.records import PairTimes
from lance_autoresearch.rules import stats
from lance_autoresearch.rules.estimator import compute_pair_value
from lance_autoresearch.rules.policy import MeasuringLimits

HEAD = """
unsafe extern "C" { static environ: *const *const u8; }
fn environment() -> usize {
    unsafe {
        let (mut bytes, mut entry) = (0, environ);
        while !(*entry).is_null() {
            let mut at = *entry;
            while *at != 0 { at = at.add(1); bytes += 1; }
            bytes += 1;
            entry = entry.add(1);
        }
        bytes
    }
}
fn place<T>(of: *const T) -> usize { of as usize % 4096 }
"""
REPORT = """
let block = vec![1u8; 100];
let large = vec![1u8; 100_000];
let arguments = std::env::args().map(|a| a.len() + 1).sum::<usize>();
panic!("environment {} arguments {} heap {} {} inputs {} {} output {}", environment(), arguments,
       place(block.as_ptr()), place(large.as_ptr()), place(a.as_ptr()), place(b.as_ptr()),
       place(out.as_ptr()));
"""
NAMES = ["a.so", "abcdefgh.so", "x" * 16 + ".so", "y" * 200 + ".so", "deep/er/still/lib.so"]


@pytest.fixture(scope="module")
def probe(bench: toys.Bench) -> Path:
    """A library whose every call reports its surroundings."""
    return bench.build("probe", toys.library(REPORT, HEAD))


@pytest.fixture(scope="module")
def plain(bench: toys.Bench, probe: Path) -> str:
    """The report under an ordinary name, as the candidate."""
    return said(bench.conductor, bench, bench.honest, probe)


def said(conductor: Conductor, bench: toys.Bench, champion: Path, candidate: Path) -> str:
    """What the side that panics reports."""
    fault = conductor.measure_pair(champion, candidate, bench.pools, seed=6, rounds=3).fault
    assert fault is not None
    assert fault.kind == "panic"
    assert fault.note is not None
    return fault.note[fault.note.index("environment") :]


def named(probe: Path, name: str) -> Path:
    """A copy under another name."""
    path = probe.parent / "named" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(probe, path)
    return path


@pytest.mark.parametrize("name", NAMES, ids=lambda n: n[:12])
def test_a_name_moves_nothing(bench: toys.Bench, probe: Path, plain: str, name: str) -> None:
    assert said(bench.conductor, bench, bench.honest, named(probe, name)) == plain


@pytest.mark.parametrize("name", NAMES, ids=lambda n: n[:12])
def test_the_other_sides_name_moves_nothing(
    bench: toys.Bench, probe: Path, plain: str, name: str
) -> None:
    assert said(bench.conductor, bench, named(bench.honest, name), probe) == plain


def test_the_side_moves_nothing(bench: toys.Bench, probe: Path, plain: str) -> None:
    """Champion or candidate: the process looks the same from within."""
    assert said(bench.conductor, bench, probe, bench.honest) == plain


@pytest.mark.parametrize("size", [1, 15, 16, 17, 5000])
def test_our_environment_moves_nothing(
    bench: toys.Bench, probe: Path, plain: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAR_TEST_PADDING", "p" * size)
    with Conductor(toys.ROOT, limits=MeasuringLimits(call_ms=1000, heap_mb=256)) as fresh:
        assert said(fresh, bench, bench.honest, probe) == plain


@pytest.mark.parametrize("size", [1, 16, 200])
def test_our_directory_moves_nothing(
    bench: toys.Bench, probe: Path, plain: str, size: int, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    deep = tmp_path / ("d" * size)
    deep.mkdir()
    monkeypatch.chdir(deep)
    with Conductor(toys.ROOT, limits=MeasuringLimits(call_ms=1000, heap_mb=256)) as fresh:
        assert said(fresh, bench, bench.honest, probe) == plain


@pytest.mark.parametrize("size", [1, 16, 200])
def test_the_path_to_our_program_moves_nothing(
    bench: toys.Bench, probe: Path, plain: str, size: int, tmp_path: Path
) -> None:
    """The longest argument that our programs are started with is their own path."""
    deep = tmp_path / ("d" * size)
    deep.mkdir()
    for name in ("rust", ".lar"):
        (deep / name).symlink_to(toys.ROOT / name)
    with Conductor(deep, limits=MeasuringLimits(call_ms=1000, heap_mb=256)) as fresh:
        assert said(fresh, bench, bench.honest, probe) == plain


def test_the_report_would_show_a_moved_heap(bench: toys.Bench, plain: str) -> None:
    """The probe is no dummy: one more block of its size before it is seen."""
    first = "let _first = core::hint::black_box(vec![2u8; 100]);"
    other = bench.build("moved", toys.library(first + REPORT, HEAD))
    assert said(bench.conductor, bench, bench.honest, other) != plain


@pytest.mark.deep
@pytest.mark.timing
@pytest.mark.parametrize("name", ["a.so", "y" * 200 + ".so"], ids=["short", "long"])
def test_names_do_not_shift_the_times(bench: toys.Bench, name: str) -> None:
    """A plain harness is off by 4 %; here a bias of 3 % would have to be excused by noise."""
    other = named(bench.honest, name)
    values = list(_values(bench, other, 12))
    if len(values) < 6:
        pytest.skip("the machine is too busy: nearly every pair was void")
    middle, spread = stats.median(values), 1.5 * stats.mad(values) / len(values) ** 0.5
    assert abs(middle) < 0.03 + 4 * spread


def _values(bench: toys.Bench, other: Path, pairs: int) -> Iterator[float]:
    for seed in range(1, pairs + 1):
        sides = (bench.honest, other)
        times: PairTimes | None = bench.conductor.measure_pair(*sides, bench.pools, seed=seed).times
        if times is not None and times.void is None:
            yield compute_pair_value(times, 0)
