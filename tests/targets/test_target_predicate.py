"""predicate: its masks are what Lance reads, its inputs keep the rules of timing, and Lance's heap
holds what sorting gives."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from in_process import Library

from lance_autoresearch.bench import pools
from lance_autoresearch.build import builder
from lance_autoresearch.fixtures import nearest
from lance_autoresearch.fixtures.floats import MAX
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.spec import Call, Combo

ROOT = Path(__file__).resolve().parents[2]
TARGET = catalogue.load_target(ROOT, "predicate")
d = catalogue.load_fixtures(ROOT, "predicate")


def calls_of(combo: Combo, seed: int = 5, *, confirm: bool = False) -> list[Call]:
    return list(pools.generate_calls(TARGET, combo, (seed, 0), None, confirm=confirm))


@pytest.fixture(scope="module")
def upstream() -> Library:
    return Library.load(builder.build_upstream(ROOT, "predicate").so)


def read_mask(data: bytes) -> tuple[bool, dict[int, set[int] | None]]:
    """Whether it blocks, and fragment -> offsets (None: all): the format read in plain Python."""
    count, at, found = int.from_bytes(data[1:5], "little"), 5, {}
    for _ in range(count):
        fragment, size = (int.from_bytes(data[at + i : at + i + 4], "little") for i in (0, 4))
        found[fragment] = read_bitmap(data[at + 8 : at + 8 + size]) if size else None
        at += 8 + size
    assert at == len(data)
    return data[0] == 1, found


def read_bitmap(data: bytes) -> set[int]:
    """A roaring bitmap: each container is found by its place where places are stored."""
    words = np.frombuffer(data, np.uint8)
    cookie = int.from_bytes(data[:4], "little")
    runs = cookie & 0xFFFF == 12347
    count = (cookie >> 16) + 1 if runs else int.from_bytes(data[4:8], "little")
    head = 4 + (count + 7) // 8 if runs else 8
    pairs = words[head : head + 4 * count].view(np.uint16).reshape(-1, 2).astype(int)
    at, found = head + 4 * count, set()
    stored = not runs or count >= 4
    places = words[at : at + 4 * count].view(np.uint32).tolist() if stored else []
    at += 4 * len(places)
    for i, (key, last) in enumerate(pairs.tolist()):
        assert not places or places[i] == at
        if runs:
            many = int.from_bytes(data[at : at + 2], "little")
            spans = words[at + 2 : at + 2 + 4 * many].view(np.uint16).reshape(-1, 2).astype(int)
            low = [v for first, more in spans.tolist() for v in range(first, first + more + 1)]
            at += 2 + 4 * many
        elif last < 4096:
            low = words[at : at + 2 * (last + 1)].view(np.uint16).tolist()
            at += 2 * (last + 1)
        else:
            bits = np.unpackbits(words[at : at + 8192], bitorder="little")
            low, at = np.flatnonzero(bits).tolist(), at + 8192
        assert len(low) == last + 1
        found |= {key << 16 | v for v in low}
    assert at == len(data)
    return found


@pytest.mark.parametrize("kind", d.MASKS)
@pytest.mark.parametrize("drawn", [False, True])
def test_a_mask_says_what_it_selects(kind: str, drawn: bool) -> None:
    rng = np.random.default_rng(11)
    for share in (0.001, 0.5, 0.97):
        rows = d.Rows.drawn(rng, 9000, 40) if drawn else d.Rows.of_table(200_000, 8)
        mask = d.MASKS[kind](rng, rows, share)
        blocks, listed = read_mask(mask.serialize().tobytes())
        places = rng.permutation(rows.count)[:5000]
        ids = rows.locate(places)
        assert len(set(ids.tolist())) == ids.size
        held = [
            (offsets := listed.get(i >> 32, set())) is None or (i & 0xFFFFFFFF) in offsets
            for i in ids.tolist()
        ]
        assert (np.array(held) ^ blocks).tolist() == mask.select()[places].tolist()


def test_kinds_of_masks_reach_every_kind_of_container() -> None:
    rng = np.random.default_rng(3)
    rows = d.Rows.of_table(1_000_000, 8)
    dense, thin = (d.serialize_bitmap(np.flatnonzero(rng.random(125_000) < p).astype(np.uint32))
                   for p in (0.5, 0.01))  # fmt: skip
    assert len(dense) == 8 + 2 * 8 + 2 * 8192 and len(thin) < 4096
    assert d.serialize_bitmap(np.zeros(0, np.uint32)) == np.array([12346, 0], np.uint32).tobytes()
    mask = d.MASKS["full"](rng, rows, 0.5)
    assert mask.full.any() and mask.absent.any()


@pytest.mark.parametrize("combo", TARGET.timed, ids=lambda c: c.name)
def test_a_timed_pool_walks_enough_and_its_slice_stays_in_its_cache(combo: Combo) -> None:
    for confirm in (False, True):
        calls = calls_of(combo, confirm=confirm)
        # Rows of a partition times sub-vectors: what the distance and the mask branch on.
        assert sum(c.args[7].size for c in calls) >= 60_000
        largest = max(sum(a.nbytes for a in c.args) + sum(c.caps) for c in calls)
        assert largest <= combo.window_kib * 1024
        assert len({c.args[8].ctypes.data for c in calls}) == 1, "calls of a slice share a mask"


def least_distances(call: Call) -> np.ndarray:
    """Bits of the k least admitted distances, ascending, with the mask read in plain Python."""
    k, lower, upper, _, heap, table, codes, ids, mask, _, near = call.args
    m = table.size // 256
    blocks, listed = read_mask(mask.tobytes())
    kept = [
        row for row, i in enumerate(ids.tolist())
        if ((offsets := listed.get(i >> 32, set())) is None or (i & 0xFFFFFFFF) in offsets) ^ blocks
    ]  # fmt: skip
    columns, dists = codes.reshape(m, -1), np.full(ids.size, -0.0, np.float32)
    with np.errstate(all="ignore"):
        for i in range(m):
            dists = dists + table[256 * i :][columns[i]]
    order = nearest.total_order(dists[kept])
    low = nearest.total_order(lower if lower.size else np.array([-MAX], np.float32))
    high = nearest.total_order(upper if upper.size else np.array([MAX], np.float32))
    others = nearest.total_order(np.concatenate([heap, near]))
    every = np.concatenate([others, order[(order >= low) & (order < high)]])
    least = np.sort(every)[: min(int(k[0]), every.size)]
    return nearest.from_total_order(least.astype(np.int32)).view(np.uint32)


CHECKED = [c for c in TARGET.checks if c.shape["n"] * c.shape["m"] < 200_000]


@pytest.mark.parametrize("combo", CHECKED[::3], ids=lambda c: c.name)
def test_lance_keeps_the_nearest_selected_rows(upstream: Library, combo: Combo) -> None:
    for call in calls_of(combo):
        dists = np.frombuffer(upstream.call(0, call)[0], np.float32)
        found = np.sort(nearest.total_order(dists))
        assert nearest.from_total_order(found).view(np.uint32).tolist() == (
            least_distances(call).tolist()
        )


def test_the_issue_s_cases_are_checked() -> None:
    """Densities, states of the heap, many rows, large ids, ties, -0.0, one deleted row."""
    seen = {(c.shape["sel"], *c.dist.split()[:2]) for c in TARGET.checks}
    for sel in (1, 10, 100, 500, 900, 1000):
        for mask in ("allow", "block"):
            for state in ("cold", "warm"):
                assert (sel, state, mask) in seen
    assert any(c.shape["n"] > 65_536 for c in TARGET.checks)
    for word in ("one", "ties", "zeros", "full", "dropped", "nothing", "everything"):
        assert any(re.search(rf"\b{word}\b", c.dist) for c in TARGET.checks), word
    ids = [call.args[7] for c in TARGET.checks[:40] for call in calls_of(c)]
    assert max(int(i.max()) for i in ids if i.size) >> 32 > 1 << 16
    zeros = [call for c in TARGET.checks if "zeros" in c.dist for call in calls_of(c)]
    bits = {int(b) for call in zeros for b in least_distances(call)}
    assert 0x8000_0000 in bits and 0 in bits
