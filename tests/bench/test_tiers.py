"""Tiers: which features each leaves, and that LAR_TIER reaches a kernel in its worker."""

from __future__ import annotations

import pytest
from conductor_parts import HONEST, ROOT, Bench, bench, library  # noqa: F401 - a fixture

from lance_autoresearch.bench import bench as kernel_bench
from lance_autoresearch.bench import tiers
from lance_autoresearch.bench.conductor import Conductor
from lance_autoresearch.judge.job import Job
from lance_autoresearch.judge.prepare import prepare
from lance_autoresearch.rules.policy import DEFAULT

AVX2, AVX512F, VBMI, GFNI = 1 << 3, 1 << 8, 1 << 13, 1 << 19
ZEN3, ZEN4 = AVX2 | 1, AVX2 | 1 | AVX512F | VBMI | GFNI


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAR_TIER", raising=False)


@pytest.mark.parametrize(
    ("limit", "left"), [("", ZEN4), ("avx2", AVX2 | 1 | GFNI), ("scalar", 0)]
)
def test_a_limit_takes_features_away(
    limit: str, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAR_TIER", limit)
    assert tiers.apply_limit(ZEN4) == left


def test_equal_tiers_are_one() -> None:
    names = ("native", "avx512", "avx2", "scalar")
    assert tiers.list_distinct(names, ZEN4) == ["native", "avx2", "scalar"]
    assert tiers.list_distinct(names, ZEN3) == ["native", "scalar"]
    assert tiers.list_distinct(names, 0) == ["native"]


@pytest.mark.parametrize("limit", ["", "scalar"])
def test_a_kernel_is_told_of_no_more_than_the_limit(
    limit: str, bench: Bench, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:
    """Checked and timed: the kernel writes a wrong value where it is told of POPCNT."""
    body = HONEST + " if lar_shim::has(lar_shim::Feature::Popcnt) { out[0] = -1.0; }"
    lib = bench.build(f"told{limit}", library(body))
    monkeypatch.setenv("LAR_TIER", limit)
    with Conductor(ROOT) as conductor:
        assert conductor.opened is not None
        told = bool(conductor.opened.features & 2)
        checked = conductor.check_pools(lib, bench.pools, seed=2)
        asked = conductor.check_pools(lib, bench.pools, seed=2, features=2)
        timed = conductor.measure_pair(bench.honest, lib, bench.pools, seed=3, rounds=3)
    assert [r.fault is not None for r in (checked, asked, timed)] == [told] * 3
    assert not (limit and told)


def test_memory_does_not_cross_tiers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verdict reached under a limit is no answer for the whole processor."""
    def key() -> str:
        with kernel_bench.Bench(ROOT, "pq-l2") as opened:
            first = opened.first_kernel
            return prepare(Job("pq-l2", first, first, DEFAULT), opened).memory_key

    whole = key()
    monkeypatch.setenv("LAR_TIER", "scalar")
    assert key() != whole
