"""Generators: shapes, types, determinism, and the facts their names promise."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lance_autoresearch.fixtures import distributions as d


def rng(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", d.CODES)
def test_codes_are_bytes_of_m_columns_by_n_rows(name: str) -> None:
    codes = d.CODES[name](rng(), 5, 301)
    assert codes.dtype == np.uint8
    assert codes.shape == (5 * 301,)
    assert codes.flags.c_contiguous
    assert d.CODES[name](rng(), 5, 0).size == 0


@pytest.mark.parametrize("name", [*d.VALUES, *d.DISTANCES])
def test_floats_are_f32_of_the_length_asked_for(name: str) -> None:
    make = d.VALUES.get(name) or d.DISTANCES[name]
    for n in (0, 1, 257) if name != "equal" else (1, 257):
        values = make(rng(), n)
        assert values.dtype == np.float32
        assert values.shape == (n,)
        assert values.flags.c_contiguous


@pytest.mark.parametrize("name", d.DISTANCES)
def test_a_seed_fixes_the_bytes_and_another_changes_them(name: str) -> None:
    first, again, other = (d.DISTANCES[name](rng(s), 500).tobytes() for s in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("name", d.CODES)
def test_codes_of_two_seeds_differ(name: str) -> None:
    assert d.CODES[name](rng(1), 4, 100).tobytes() == d.CODES[name](rng(1), 4, 100).tobytes()
    assert d.CODES[name](rng(1), 4, 100).tobytes() != d.CODES[name](rng(2), 4, 100).tobytes()


def test_skewed_codes_follow_zipf_and_rank_each_column_anew() -> None:
    columns = d.zipf_codes(rng(), 3, 20_000).reshape(3, -1)
    tops = [Counter(c.tolist()).most_common(1)[0] for c in columns]
    harmonic = (1 / np.arange(1, 257)).sum()
    assert all(abs(count / 20_000 * harmonic - 1) < 0.1 for _, count in tops)
    assert len({code for code, _ in tops}) > 1


def test_clustered_rows_repeat_across_columns() -> None:
    columns = d.clustered_codes(rng(), 2, 20_000).reshape(2, -1)
    pairs = Counter(zip(*columns.tolist(), strict=True))
    assert pairs.most_common(1)[0][1] > 1_000  # independent columns would give about 1


def test_a_residual_table_is_squared_distances() -> None:
    table = d.residual_table(rng(), 16)
    assert table.shape == (16 * 256,)
    assert (table > 0).all()
    assert np.isfinite(table).all()


def test_specials_hold_every_pattern_and_keep_nan_payloads() -> None:
    seen = set(d.specials(rng(), 20_000).view(np.uint32).tolist())
    assert set(d.SPECIAL_BITS) <= seen


def test_hard_values_are_what_they_are_called() -> None:
    assert (d.minus_zero(rng(), 9).view(np.uint32) == 0x80000000).all()
    tiny = d.subnormal(rng(), 999)
    assert (tiny > 0).all()
    assert (tiny < np.finfo(np.float32).tiny).all()
    assert not np.isfinite(np.cumsum(np.abs(d.huge(rng(), 100)), dtype=np.float64)).all() or (
        np.abs(d.huge(rng(), 100)).max() > 1e38
    )
    wide = d.wide(rng(), 4096)
    forward, backward = (
        np.add.accumulate(v, dtype=np.float32)[-1] for v in (wide, wide[::-1].copy())
    )
    assert forward.tobytes() != backward.tobytes()


def test_orders_and_ties() -> None:
    assert (np.diff(d.ascending(rng(), 500)) >= 0).all()
    assert (np.diff(d.descending(rng(), 500)) <= 0).all()
    assert np.unique(d.equal(rng(), 500)).size == 1
    assert np.unique(d.ties(rng(), 5000)).size <= 64


def test_total_order_is_rusts() -> None:
    bits = [0xFFC00001, 0xFFC00000, 0xFF800000, 0xFF7FFFFF, 0x80000001, 0x80000000]
    bits += [0x00000000, 0x00000001, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000]
    values = np.array(bits, np.uint32).view(np.float32)
    order = d.total_order(values)
    assert (np.diff(order.astype(np.int64)) > 0).all()
    assert d.from_total_order(order).view(np.uint32).tolist() == bits


def test_heap_of_is_a_max_heap_of_the_least() -> None:
    seen = d.squared_gaussian(rng(), 5000)
    heap = d.heap_of(seen, 100, rng(3))
    assert sorted(heap.tolist()) == np.sort(seen)[:100].tolist()
    assert all(heap[(i - 1) // 2] >= heap[i] for i in range(1, 100))
    assert heap.tolist() != sorted(heap.tolist(), reverse=True)
    assert d.heap_of(seen[:7], 100, rng()).size == 7
    assert d.heap_of(seen[:0], 100, rng()).size == 0


def test_kth_band_names_all_rows_at_the_kth_distance() -> None:
    ids = np.arange(10, 17, dtype=np.uint64)
    dists = np.array([5, 1, 2, 2, 9, 2, np.nan], np.float32)
    assert d.kth_band(2, -d.MAX, d.MAX, 0, ids, dists).tolist() == [12, 13, 15]
    assert d.kth_band(1, -d.MAX, d.MAX, 0, ids, dists).tolist() == [11]
    assert d.kth_band(99, -d.MAX, d.MAX, 0, ids, dists).tolist() == [14]  # NaN is never admitted
    assert d.kth_band(2, 2.0, 9.0, 0, ids, dists).tolist() == [12, 13, 15]
    assert d.kth_band(1, 2.0, 9.0, 2, ids, dists).tolist() == [11]  # in the heap, so in the race
    assert d.kth_band(0, -d.MAX, d.MAX, 0, ids, dists).size == 0
    assert d.kth_band(3, 100.0, d.MAX, 0, ids, dists).size == 0
