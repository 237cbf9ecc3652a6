"""Secret sizes: every draw lies in the space, holds the memory bound and contains the borders."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from lance_autoresearch.targets.space import (
    Range,
    Shape,
    Space,
    describe_size_class,
    draw_combos,
    draw_size,
    find_limit,
    find_space_problems,
)


def count_bytes(shape: Shape) -> int:
    return 1024 * shape["m"] + shape["m"] * shape["n"] + 4 * shape["n"]


SCAN = Space(
    "scan", {"m": Range(1, 2048), "n": Range(0, 1 << 20)}, ("even", "drawn even", "mixed"),
    max_bytes=16 << 20, bound="memory", call_bytes=count_bytes,
)  # fmt: skip


def test_borders_are_those_of_integer_widths_and_of_the_range():
    assert Range(1, 300).list_borders() == [1, 255, 256, 257, 300]
    assert Range(0, 10, borders=(7,)).list_borders() == [0, 7, 10]
    assert Range(8, 260, step=8).list_borders() == [8, 256]
    assert Range(0, 1 << 33).list_widths()[-3:] == [2**32 - 1, 2**32, 2**32 + 1]


def test_the_same_generator_gives_the_same_cases():
    first, second = (
        draw_combos(SCAN, np.random.default_rng(3), 50, max_bytes=8 << 20) for _ in range(2)
    )
    assert first == second
    assert {(c.op, c.calls) for c in first} == {("scan", 1)}


@pytest.mark.parametrize("seed", range(20))
def test_a_full_draw_holds_every_border_within_its_memory(seed):
    cases = draw_combos(SCAN, np.random.default_rng(seed), 400, max_bytes=128 << 20)
    need = [count_bytes(case.shape) for case in cases]
    assert sum(need) <= 128 << 20
    assert max(need) <= SCAN.max_bytes
    for name, each in SCAN.ranges.items():
        drawn = {case.shape[name] for case in cases}
        assert drawn >= set(each.list_borders())
        assert all(each.low <= size <= each.high for size in drawn)
    families = [case.dist for case in cases]
    assert {families.count(name) for name in SCAN.families} <= {133, 134}


@pytest.mark.parametrize("seed", range(20))
def test_a_small_draw_holds_the_borders_of_integer_widths(seed):
    cases = draw_combos(SCAN, np.random.default_rng(seed), 12, max_bytes=4 << 20)
    for name, each in SCAN.ranges.items():
        assert {case.shape[name] for case in cases} >= set(each.list_widths())
    assert sum(count_bytes(case.shape) for case in cases) <= 4 << 20


def test_a_region_of_three_per_cent_of_a_logarithm_is_always_met():
    """Rows from 26,000 to 40,000 are 3.1 % of the logarithms of 1 to 2^20."""
    for seed in range(20):
        cases = draw_combos(SCAN, np.random.default_rng(seed), 400, max_bytes=192 << 20)
        assert any(26_000 < case.shape["n"] < 40_000 for case in cases), seed


def test_large_sizes_stay_and_the_others_give_way():
    cases = draw_combos(SCAN, np.random.default_rng(1), 400, max_bytes=128 << 20)
    rows = np.array([case.shape["n"] for case in cases])
    parts = np.array([case.shape["m"] for case in cases])
    assert np.mean(rows > 65_537) > 0.05
    assert np.mean(parts > 257) > 0.05
    assert np.mean((rows > 10_000) & (parts > 10)) > 0.01


def test_a_limit_is_the_largest_size_that_fits():
    limit = find_limit(SCAN, SCAN.smallest, "n", 100_000)
    assert count_bytes({"m": 1, "n": limit}) <= 100_000 < count_bytes({"m": 1, "n": limit + 1})


def test_sizes_beside_powers_and_multiples_are_common():
    rng = np.random.default_rng(5)
    sizes = [draw_size(Range(0, 1 << 20), rng, 1 << 20) for _ in range(2000)]
    beside = sum(any((size + near) % 64 == 0 for near in (-1, 0, 1)) for size in sizes)
    assert beside > 2000 * 0.25
    octaves = np.histogram(np.log2(np.maximum(sizes, 1)), bins=20, range=(0, 20))[0]
    assert octaves.min() > 30, "no octave is rare"


def test_quantities_are_equal_or_beside_each_other_now_and_then():
    space = Space(
        "op", {"k": Range(0, 20_000), "n": Range(0, 1 << 19)}, ("even",), 16 << 20, "memory",
        lambda shape: 12 * (shape["k"] + shape["n"]),
    )  # fmt: skip
    for seed in range(8):
        cases = draw_combos(space, np.random.default_rng(seed), 400, max_bytes=256 << 20)
        apart = [c.shape["k"] - c.shape["n"] for c in cases if c.shape["k"] > 100]
        assert {-1, 0, 1} <= set(apart)
        assert sum(abs(far) <= 1 for far in apart) < 80


def test_steps_are_kept():
    rng = np.random.default_rng(5)
    assert {draw_size(Range(8, 100, step=8), rng, 100) % 8 for _ in range(200)} == {0}


@pytest.mark.parametrize(
    "change, words",
    [
        ({"bound": " "}, "bound is empty"),
        ({"families": ()}, "no family"),
        ({"max_bytes": 1 << 20}, "above max_bytes"),
        ({"ranges": {"m": Range(1, 4), "n": Range(5, 4)}}, "no range"),
        ({"ranges": {"m": Range(1, 4), "n": Range(0, 9, borders=(3,), step=2)}}, "multiple of 2"),
    ],
)
def test_a_faulty_space_is_named(change, words):
    assert not find_space_problems(SCAN)
    assert any(words in problem for problem in find_space_problems(replace(SCAN, **change)))


def test_a_size_class_names_powers_of_ten_only():
    assert describe_size_class({"m": 7, "n": 65_537}) == "m below 10, n 10,000 to 99,999"


def test_call_bytes_of_the_example_never_fall():
    for low, high in pairwise((0, 1, 5, 64, 1000)):
        assert count_bytes({"m": 3, "n": low}) <= count_bytes({"m": 3, "n": high})
