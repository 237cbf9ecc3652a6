"""Memory in which a kernel runs looks as it may in a process that uses Lance.

Each kernel stops where its memory looks in a way that production's may; so the judge's must, too.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conductor_parts import HONEST, ROOT, Bench, library, programs

from lance_autoresearch.bench.conductor import Conductor
from lance_autoresearch.records import Fault, FaultKind

SEEN = {
    "high": "[a.as_ptr(), b.as_ptr(), out.as_ptr()].iter().all(|p| *p as usize >> 40 != 0)",
    "behind the program": "out.as_ptr() as usize >> 40 == 0x55",
    "among libraries": "out.as_ptr() as usize >> 40 == 0x7f",
    "output below input": "(out.as_ptr() as usize) < a.as_ptr() as usize",
    "output above input": "out.as_ptr() as usize > a.as_ptr() as usize",
    "near": "(out.as_ptr() as usize).abs_diff(a.as_ptr() as usize) < 1 << 31",
    "heap below output": "(Box::as_ptr(&Box::new(a[0])) as usize) < out.as_ptr() as usize",
    "stack above heap": "(&raw const a as usize) > Box::as_ptr(&Box::new(a[0])) as usize",
}
HELD = {
    "zeros": "out.iter().all(|x| x.to_bits() == 0)",
    "ones": "out.iter().all(|x| x.to_bits() == u32::MAX)",
    "its own answer": "out.iter().zip(a.iter().zip(b)).all(|(o, (a, b))| *o == a * 3.0 + b)",
    "an answer": "out.iter().all(|x| *x > 0.0 && *x < 4.0) "
                 "&& out.iter().zip(a.iter().zip(b)).any(|(o, (a, b))| *o != a * 3.0 + b)",
    "poison": "out.iter().any(|x| !(1e-9..4.1).contains(x)) && out[0].to_bits() != u32::MAX",
}  # fmt: skip


def stop_where(condition: str) -> str:
    condition = condition.replace("Box::as_ptr(&Box::new(a[0]))", "&*std::hint::black_box("
                                  "Box::new(a[0])) as *const f32")  # fmt: skip
    return library(f'if {condition} {{ panic!("found") }} {HONEST}')


def find_first(measure: Callable[[int], Fault | None]) -> tuple[int, Fault]:
    """The first seed of 40 with which the kernel stops."""
    found = ((seed, fault) for seed in range(40) if (fault := measure(seed)) is not None)
    return next(found)


@pytest.mark.parametrize("name", SEEN)
def test_addresses_are_drawn_in_checks_and_in_timed_pairs(bench: Bench, name: str) -> None:
    built = bench.build(f"seen-{name.replace(' ', '-')}", stop_where(SEEN[name]))
    conductor = bench.conductor
    seed, fault = find_first(lambda s: conductor.check_pools(built, bench.pools, seed=s).fault)
    assert (fault.kind, fault.side) == (FaultKind.PANIC, "candidate")
    again = conductor.check_pools(built, bench.pools, seed=seed).fault
    assert again == fault, "the seed decides"
    _, fault = find_first(
        lambda s: conductor.measure_pair(bench.honest, built, bench.pools, seed=s, rounds=1).fault
    )
    assert (fault.kind, fault.side) == (FaultKind.PANIC, "candidate")


@pytest.mark.parametrize("name", HELD)
def test_outputs_hold_what_lance_may_hand_over_and_only_in_checks(bench: Bench, name: str) -> None:
    built = bench.build(f"held-{name.replace(' ', '-')}", stop_where(HELD[name]))
    _, fault = find_first(
        lambda s: bench.conductor.check_pools(built, bench.pools, seed=s).fault
    )
    assert fault.kind is FaultKind.PANIC
    timed = bench.conductor.measure_pair(bench.honest, built, bench.pools, seed=5, rounds=2).fault
    assert (timed is None) == (name != "poison"), "timed slices hold poison alone"


@pytest.mark.deep
@pytest.mark.parametrize("condition", ["high", "output below input", "zeros", "an answer"])
def test_memory_like_productions_alone_stops_them(bench: Bench, condition: str) -> None:
    """Without it the same kernels stop nowhere."""
    built = bench.build("alone", stop_where((SEEN | HELD)[condition]))
    with Conductor(ROOT, bin_dir=programs("lar-conductor/test-plain-memory")) as plain:
        for seed in range(6):
            assert plain.check_pools(built, bench.pools, seed=seed).fault is None
            pair = plain.measure_pair(bench.honest, built, bench.pools, seed=seed, rounds=1)
            assert pair.fault is None


def test_a_part_that_is_not_written_is_found_whatever_it_held(bench: Bench) -> None:
    body = "for i in 1..out.len() { out[i] = a[i] * 3.0 + b[i]; }"
    built = bench.build("unwritten", library(body))
    for seed in range(4):
        assert bench.conductor.check_pools(built, bench.pools, seed=seed).fault is not None
