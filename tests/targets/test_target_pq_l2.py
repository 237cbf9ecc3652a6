"""pq-l2: its inputs keep the rules of timing, and Lance's library gives what NumPy gives."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from in_process import Library

from lance_autoresearch.bench import pools
from lance_autoresearch.bench.conductor import Conductor
from lance_autoresearch.build import builder
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.spec import Call, Combo

ROOT = Path(__file__).resolve().parents[2]
TARGET = catalogue.load_target(ROOT, "pq-l2")
LINEAGE = ROOT / "records" / "ideas" / "pq-l2"
HONEST = ("01-table-tree", "02-vbmi-scan", "03-gather-scan", "06-wide-table-knobs")


def calls_of(combo: Combo, seed: int = 5, *, confirm: bool = False) -> list[Call]:
    return list(pools.generate_calls(TARGET, combo, (seed, 0), None, confirm=confirm))


def label(combo: Combo) -> str:
    return f"{combo.op} {combo.name}"


@pytest.fixture(scope="module")
def upstream() -> Library:
    return Library.load(builder.build_upstream(ROOT, "pq-l2").so)


def sequential_sums(table: np.ndarray, m: int, codes: np.ndarray) -> np.ndarray:
    """The scan by definition: from +0.0, one float32 addition per sub-vector, in order."""
    columns = codes.reshape(m, -1)
    sums = np.zeros(columns.shape[1], np.float32)
    with np.errstate(all="ignore"):
        for entries, column in zip(table.reshape(m, 256), columns, strict=True):
            sums = (sums + entries[column]).astype(np.float32)
    return sums


def tree_sums(codebook: np.ndarray, m: int, query: np.ndarray) -> np.ndarray:
    """The table at 8 dimensions: squares folded as (i, i + 4), then (+2), then (+1)."""
    with np.errstate(all="ignore"):
        differences = query.reshape(m, 1, 8) - codebook.reshape(m, 256, 8)
        squares = differences * differences
        four = squares[..., :4] + squares[..., 4:]
        two = four[..., :2] + four[..., 2:]
        return (two[..., 0] + two[..., 1]).reshape(-1)


def same_bits(got: bytes, want: np.ndarray) -> bool:
    values = np.frombuffer(got, np.float32)
    equal = values.view(np.uint32) == want.view(np.uint32)
    return values.shape == want.shape and bool((equal | (np.isnan(values) & np.isnan(want))).all())


@pytest.mark.parametrize("combo", TARGET.timed, ids=label)
def test_a_timed_pool_walks_enough_and_its_slice_stays_in_its_cache(combo: Combo) -> None:
    for confirm in (False, True):
        calls = calls_of(combo, confirm=confirm)
        assert len(calls) == combo.calls
        walked = {id(c.args[0]): c.args[0].size for c in calls}  # a codebook counts once
        codes = sum(c.args[2].size for c in calls)
        assert (codes if combo.op == "scan8" else sum(walked.values())) >= 32_768 * 2
        largest = max(sum(a.nbytes for a in c.args) + sum(c.caps) for c in calls)
        assert largest <= combo.window_kib * 1024


@pytest.mark.parametrize("combo", [*TARGET.timed, *TARGET.checks], ids=label)
def test_arguments_have_the_shapes_the_contract_reads(combo: Combo) -> None:
    m = combo.shape["m"]
    for call in calls_of(combo):
        first, count, last = call.args
        assert (first.dtype, count.dtype) == (np.float32, np.uint64)
        assert count.tolist() == [m]
        assert all(a.flags.c_contiguous for a in call.args)
        if combo.op == "scan8":
            assert (first.size, last.size, last.dtype) == (m * 256, m * combo.shape["n"], np.uint8)
            assert call.caps == (4 * combo.shape["n"],)
        else:
            dimensions = m * combo.shape["dsub"]
            assert last.size == dimensions + combo.shape.get("tail", 0)
            assert last.size // m == combo.shape["dsub"]
            assert first.size == 256 * dimensions
            assert call.caps == (4 * 256 * m,)


@pytest.mark.parametrize("combo", TARGET.timed, ids=label)
def test_a_seed_fixes_a_pool_and_another_changes_it(combo: Combo) -> None:
    first, again, other = (
        [a.tobytes() for c in calls_of(combo, s) for a in c.args] for s in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("combo", [c for c in TARGET.checks if c.op == "scan8"], ids=label)
def test_lance_scans_as_the_definition_says(upstream: Library, combo: Combo) -> None:
    for call in calls_of(combo):
        table, m, codes = call.args
        got = upstream.call(0, call)[0]
        want = sequential_sums(table, int(m[0]), codes) if codes.size else np.zeros(0, np.float32)
        assert same_bits(got, want)


@pytest.mark.parametrize("dist", ["residual", "specials", "subnormal", "huge"])
def test_lance_folds_a_table_of_8_dimensions_as_the_definition_says(
    upstream: Library, dist: str
) -> None:
    for call in calls_of(Combo("table_l2", {"m": 6, "dsub": 8}, dist, 2)):
        codebook, m, query = call.args
        assert same_bits(upstream.call(1, call)[0], tree_sums(codebook, int(m[0]), query))


def disagreements(upstream: Library, kernel: Library) -> set[str]:
    """Ops whose outputs differ from Lance's on any check."""
    out = set()
    for combo in TARGET.checks:
        op = TARGET.find_op_index(combo.op)
        for call in calls_of(combo):
            want = np.frombuffer(upstream.call(op, call)[0], np.float32)
            if not same_bits(kernel.call(op, call)[0], want):
                out.add(combo.op)
    return out


@pytest.mark.deep
@pytest.mark.parametrize("features", [None, 0], ids=["native", "scalar"])
@pytest.mark.parametrize("name", HONEST)
def test_our_kernels_agree_on_every_check(
    upstream: Library, name: str, features: int | None
) -> None:
    built = builder.build_kernel(ROOT, "pq-l2", (LINEAGE / f"{name}.rs").read_bytes())
    assert disagreements(upstream, Library.load(built.so, features)) == set()


def test_one_rounding_less_is_noticed(upstream: Library) -> None:
    built = builder.build_kernel(ROOT, "pq-l2", (LINEAGE / "04-fused-table.rs").read_bytes())
    assert disagreements(upstream, Library.load(built.so)) == {"table_l2"}


@pytest.mark.deep
def test_the_conductor_agrees_and_rejects_every_cheat(tmp_path: Path) -> None:
    made = pools.make_pools(TARGET, [*TARGET.timed, *TARGET.checks], tmp_path / "pools", 3, None)
    lance = builder.build_upstream(ROOT, "pq-l2")
    cheats = sorted((ROOT / "targets" / "pq-l2" / "cheats").glob("*.rs"))
    # Those that no comparison of outputs can see are stopped by others: test_threats.
    seen_by_others = re.compile(r"stopped by [ABCDKRS ]+$", re.M)
    cheats = [c for c in cheats if not seen_by_others.search(c.read_text().splitlines()[0])]
    honest = LINEAGE / "06-wide-table-knobs.rs"
    assert len(cheats) >= 3
    with Conductor(ROOT) as conductor:
        for pool in made:
            assert conductor.write_expected(lance.so, pool.path, pool.expected).fault is None
        passed = {}
        for path in [honest, *cheats]:
            library = builder.build_kernel(ROOT, "pq-l2", path.read_bytes()).so
            both = [(pool.path, pool.expected) for pool in made]
            passed[path.stem] = conductor.check_pools(library, both, seed=5).fault is None
    assert passed == {path.stem: path is honest for path in [honest, *cheats]}
