"""topk-merge's own generators: distances of a partition, heaps, ties at the k-th place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lance_autoresearch.fixtures.floats import MAX
from lance_autoresearch.targets import catalogue

d = catalogue.load_fixtures(Path(__file__).resolve().parents[2], "topk-merge")


def rng(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", d.DISTANCES)
def test_distances_are_f32_of_the_length_asked_for(name: str) -> None:
    for n in (0, 1, 257) if name != "equal" else (1, 257):
        values = d.DISTANCES[name](rng(), n)
        assert values.dtype == np.float32
        assert values.shape == (n,)
        assert values.flags.c_contiguous


@pytest.mark.parametrize("name", d.DISTANCES)
def test_a_seed_fixes_the_bytes_and_another_changes_them(name: str) -> None:
    first, again, other = (d.DISTANCES[name](rng(s), 500).tobytes() for s in (1, 1, 2))
    assert first == again
    assert first != other


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
    assert d.kth_band(2, -MAX, MAX, 0, ids, dists).tolist() == [12, 13, 15]
    assert d.kth_band(1, -MAX, MAX, 0, ids, dists).tolist() == [11]
    assert d.kth_band(99, -MAX, MAX, 0, ids, dists).tolist() == [14]  # NaN is never admitted
    assert d.kth_band(2, 2.0, 9.0, 0, ids, dists).tolist() == [12, 13, 15]
    assert d.kth_band(1, 2.0, 9.0, 2, ids, dists).tolist() == [11]  # in the heap, so in the race
    assert d.kth_band(0, -MAX, MAX, 0, ids, dists).size == 0
    assert d.kth_band(3, 100.0, MAX, 0, ids, dists).size == 0
