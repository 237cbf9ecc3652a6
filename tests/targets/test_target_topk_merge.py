"""topk-merge: its inputs keep the rules of timing, and Lance's heap holds what sorting gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from in_process import Library

from lance_autoresearch.bench import pools
from lance_autoresearch.bench.conductor import Conductor
from lance_autoresearch.build import builder
from lance_autoresearch.fixtures.floats import MAX
from lance_autoresearch.fixtures.nearest import from_total_order, total_order
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.spec import Call, Combo

ROOT = Path(__file__).resolve().parents[2]
TARGET = catalogue.load_target(ROOT, "topk-merge")
d = catalogue.load_fixtures(ROOT, "topk-merge")
LINEAGE = ROOT / "records" / "ideas" / "topk-merge"
WARM = [combo for combo in (*TARGET.timed, *TARGET.checks) if combo.dist.startswith("warm")]
KERNELS = ("01-screen-by-root", "02-collect-when-cold")


def calls_of(combo: Combo, seed: int = 5, *, confirm: bool = False) -> list[Call]:
    return list(pools.generate_calls(TARGET, combo, (seed, 0), None, confirm=confirm))


def label(combo: Combo) -> str:
    return combo.name


@pytest.fixture(scope="module")
def upstream() -> Library:
    return Library.load(builder.build_upstream(ROOT, "topk-merge").so)


def rows_of(library: Library, call: Call) -> list[bytes]:
    """Distances and ids that a kernel left in the heap, by distance (total order), then id."""
    dists, ids = library.call(0, call)
    bits, rows = np.frombuffer(dists, np.float32), np.frombuffer(ids, np.uint64)
    order = np.lexsort((rows, total_order(bits)))
    return [bits[order].tobytes(), rows[order].tobytes()]


def nearest(call: Call) -> np.ndarray:
    """Bits of the k least admitted distances, ascending: the heap's content by sorting."""
    k, lower, upper, _, heap, _, _, dists, *_ = call.args
    low = total_order(lower if lower.size else np.array([-MAX], np.float32))
    high = total_order(upper if upper.size else np.array([MAX], np.float32))
    order = total_order(dists)
    admitted = order[(order >= low) & (order < high)]
    least = np.sort(np.concatenate([total_order(heap), admitted]))[: int(k[0])]
    return from_total_order(least.astype(np.int32)).view(np.uint32)


@pytest.mark.parametrize("combo", TARGET.timed, ids=label)
def test_a_timed_pool_walks_enough_and_its_slice_stays_in_its_cache(combo: Combo) -> None:
    for confirm in (False, True):
        calls = calls_of(combo, confirm=confirm)
        assert sum(c.args[7].size for c in calls) >= 65_536
        largest = max(sum(a.nbytes for a in c.args) + sum(c.caps) for c in calls)
        assert largest <= combo.window_kib * 1024


@pytest.mark.parametrize("combo", [*TARGET.timed, *TARGET.checks], ids=label)
def test_arguments_have_the_shapes_the_contract_reads(combo: Combo) -> None:
    k, n, p = (combo.shape[x] for x in "knp")
    total = n * p + combo.shape.get("rest", 0)
    for call in calls_of(combo):
        kinds = [a.dtype.name for a in call.args]
        assert kinds == [
            "uint64",
            *["float32"] * 2,
            "uint64",
            "float32",
            *["uint64"] * 2,
            "float32",
            "uint64",
        ]
        sizes = [a.size for a in call.args]
        assert sizes[0] == 1 and sizes[1] <= 1 and sizes[2] <= 1
        assert sizes[3] == sizes[4] <= k
        assert sizes[5:] == [p, total, total, 1] and call.args[8][0] >= sizes[4]
        assert call.args[5].tolist() == [n * (i + 1) for i in range(p)]
        rows = min(k, sizes[4] + total)
        assert call.caps == (4 * rows, 8 * rows)
        if combo.dist.startswith("warm"):
            assert sizes[4] == k


@pytest.mark.parametrize("combo", TARGET.timed, ids=label)
def test_a_seed_fixes_a_pool_and_another_changes_it(combo: Combo) -> None:
    first, again, other = (
        [a.tobytes() for c in calls_of(combo, s) for a in c.args] for s in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("combo", TARGET.checks, ids=label)
def test_lance_keeps_the_nearest_rows(upstream: Library, combo: Combo) -> None:
    for call in calls_of(combo):
        dists, ids = rows_of(upstream, call)
        if combo.shape["k"] == 0:
            assert (dists, ids) == (b"", b"")
            continue
        assert np.frombuffer(dists, np.uint32).tolist() == nearest(call).tolist()
        assert set(np.frombuffer(ids, np.uint64).tolist()) <= set(
            np.concatenate([call.args[3], call.args[6]]).tolist()
        )


@pytest.mark.parametrize("combo", WARM, ids=label)
def test_an_earlier_heap_is_handed_over_in_the_order_of_its_array(
    upstream: Library, combo: Combo
) -> None:
    """`BinaryHeap::from` moves nothing in an array that is a heap already, as Lance's is."""
    for call in calls_of(combo)[:4]:
        k, lower, upper, ids, dists = call.args[:5]
        none = np.array([], np.uint64)
        args = (k, lower, upper, ids, dists, np.array([0], np.uint64), none,
                none.astype(np.float32), call.args[8])  # fmt: skip
        left = upstream.call(0, replace(call, args=args))
        assert left == [dists.tobytes(), ids.tobytes()]


def test_the_band_lists_what_lance_may_choose_from(upstream: Library) -> None:
    wider = 0
    for combo in TARGET.checks:
        for call in calls_of(combo):
            dists, ids = (
                np.frombuffer(p, t)
                for p, t in zip(rows_of(upstream, call), (np.uint32, np.uint64), strict=True)
            )
            assert call.ties is not None
            assert (np.diff(call.ties.astype(object)) >= 0).all()
            if dists.size:
                last = ids[dists == dists[-1]]
                assert set(last.tolist()) <= set(call.ties.tolist())
                wider += len(call.ties) > len(last)
    assert wider > 20  # else the checks never put the tie band to work


def allowed(got: list[bytes], want: list[bytes], band: np.ndarray) -> bool:
    """The conductor's rule: equal distances, equal ids before the last distance, there a choice."""
    if got[0] != want[0] or len(got[1]) != len(want[1]):
        return False
    dists, ours, theirs = (
        np.frombuffer(p, t) for p, t in ((want[0], np.uint32), (got[1], "u8"), (want[1], "u8"))
    )
    at_last = dists == dists[-1:]
    chosen = ours[at_last]
    if got[1] == want[1]:
        return True
    return bool(
        np.array_equal(ours[~at_last], theirs[~at_last])
        and np.isin(chosen, band).all()
        and np.array_equal(np.unique(chosen), chosen)
    )


def faults(upstream: Library, kernel: Library) -> set[str]:
    """Checks on which a kernel breaks the target's declared rules."""
    return {
        combo.name
        for combo in TARGET.checks
        for call in calls_of(combo)
        if not allowed(rows_of(kernel, call), rows_of(upstream, call), call.ties)
    }


@pytest.mark.deep
@pytest.mark.parametrize("name", KERNELS)
def test_our_kernels_agree_on_every_check(upstream: Library, name: str) -> None:
    built = builder.build_kernel(ROOT, "topk-merge", (LINEAGE / f"{name}.rs").read_bytes())
    assert faults(upstream, Library.load(built.so)) == set()


@pytest.mark.parametrize("careless", ["(d < limit)", "(d <= limit)", "(d < limit || d.is_nan())"])
def test_a_screen_that_loses_nan_or_minus_zero_is_noticed(upstream: Library, careless: str) -> None:
    text = (LINEAGE / "01-screen-by-root.rs").read_text()
    wrong = text.replace("!(d > limit)", careless)
    assert wrong != text
    built = builder.build_kernel(ROOT, "topk-merge", wrong.encode())
    assert faults(upstream, Library.load(built.so)) != set()


@pytest.mark.deep
def test_the_conductor_agrees_and_rejects_every_cheat(tmp_path: Path) -> None:
    made = pools.make_pools(TARGET, [*TARGET.timed, *TARGET.checks], tmp_path / "pools", 3, None)
    lance = builder.build_upstream(ROOT, "topk-merge")
    cheats = sorted((ROOT / "targets" / "topk-merge" / "cheats").glob("*.rs"))
    honest = LINEAGE / "02-collect-when-cold.rs"
    assert len(cheats) >= 3
    with Conductor(ROOT) as conductor:
        for pool in made:
            assert conductor.write_expected(lance.so, pool.path, pool.expected).fault is None
        passed = {}
        for path in [honest, *cheats]:
            library = builder.build_kernel(ROOT, "topk-merge", path.read_bytes()).so
            both = [(pool.path, pool.expected) for pool in made]
            passed[path.stem] = conductor.check_pools(library, both, seed=5).fault is None
    assert passed == {path.stem: path is honest for path in [honest, *cheats]}
