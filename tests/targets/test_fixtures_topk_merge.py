"""topk-merge's own generators: distances of a partition, heaps, ties at the k-th place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lance_autoresearch.fixtures import nearest
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
    order = nearest.total_order(values)
    assert (np.diff(order.astype(np.int64)) > 0).all()
    assert nearest.from_total_order(order).view(np.uint32).tolist() == bits


def test_heap_of_is_a_max_heap_of_the_least() -> None:
    seen = d.squared_gaussian(rng(), 5000)
    heap = nearest.heap_of(seen, 100, rng(3))
    assert sorted(heap.tolist()) == np.sort(seen)[:100].tolist()
    assert all(heap[(i - 1) // 2] >= heap[i] for i in range(1, 100))
    assert heap.tolist() != sorted(heap.tolist(), reverse=True)
    assert nearest.heap_of(seen[:7], 100, rng()).size == 7
    assert nearest.heap_of(seen[:0], 100, rng()).size == 0


def test_kth_band_names_all_rows_at_the_kth_distance() -> None:
    ids = np.arange(10, 17, dtype=np.uint64)
    dists = np.array([5, 1, 2, 2, 9, 2, np.nan], np.float32)
    assert nearest.kth_band(2, -MAX, MAX, 0, ids, dists).tolist() == [12, 13, 15]
    assert nearest.kth_band(1, -MAX, MAX, 0, ids, dists).tolist() == [11]
    assert nearest.kth_band(99, -MAX, MAX, 0, ids, dists).tolist() == [14]  # NaN is never admitted
    assert nearest.kth_band(2, 2.0, 9.0, 0, ids, dists).tolist() == [12, 13, 15]
    assert nearest.kth_band(1, 2.0, 9.0, 2, ids, dists).tolist() == [11]  # it is in the heap
    assert nearest.kth_band(0, -MAX, MAX, 0, ids, dists).size == 0
    assert nearest.kth_band(3, 100.0, MAX, 0, ids, dists).size == 0


def test_ids_of_every_kind_and_the_extremes_are_drawn() -> None:
    seen = set()
    for seed in range(120):
        ids = d.draw_ids(rng(seed), 300)
        assert ids.dtype == np.uint64 and ids.shape == (300,)
        steps = np.unique(np.diff(ids))
        if steps.size == 1:
            seen.add({0: "equal", 1: "rising", 2**64 - 1: "falling"}[int(steps[0])])
        if np.unique(ids).size <= 102 and steps.size > 1:
            seen.add("few")
        if {0, 2**64 - 1} <= set(ids.tolist()):
            seen.add("extremes")
    assert seen == {"equal", "rising", "falling", "few", "extremes"}
    assert all(kind(rng(), n).size == n for kind in d.ID_KINDS for n in (0, 1, 2))


def test_rows_with_extreme_ids_come_near() -> None:
    ids = np.array([5, 2**64 - 1, 7, 0, 9, 8], np.uint64)
    dists = np.array([1, 9, 2, 8, 3, 4], np.float32)
    none, two = np.array([], np.float32), np.array([2], np.float32)
    near = d.bring_near(rng(), ids, dists, none, none)
    assert sorted(near.tolist()) == sorted(dists.tolist())
    assert {near[1], near[3]} == {1.0, 2.0}
    within = d.bring_near(rng(), ids, dists, two, none)
    assert {within[1], within[3]} == {2.0, 3.0}, "below the lower bound no row enters"


def test_a_heap_has_room_for_its_rows_for_k_for_twice_k_or_for_more() -> None:
    rooms = {d.draw_room(rng(seed), 10, 4) for seed in range(200)}
    assert {4, 10, 20} <= rooms and max(rooms) > 40 and min(rooms) == 4
    assert d.draw_room(rng(), 2**64 - 1, 0) <= d.MOST_ROOM


def test_odd_bounds_are_extreme_or_the_wrong_way_round() -> None:
    values = d.squared_gaussian(rng(), 400)
    pairs = [d.draw_odd_bounds(rng(seed), values) for seed in range(100)]
    turned = [low > high for low, high in pairs if high.size]
    assert sum(bool(t.all()) for t in turned) >= 30
    assert sum(low.view(np.uint32)[0] == 0x80000000 for low, _ in pairs) >= 10
    for seed in range(50):
        low, high = nearest.draw_bounds(rng(seed), values, False)
        assert low[0] <= high[0]


def test_one_partition_may_have_one_distance() -> None:
    values = d.squared_gaussian(rng(), 120)
    level = d.level_partition(rng(), values, 40).reshape(3, 40)
    one = [np.unique(part.view(np.uint32)).size == 1 for part in level]
    assert sum(one) == 1 and (level[~np.array(one)] == values.reshape(3, 40)[~np.array(one)]).all()
