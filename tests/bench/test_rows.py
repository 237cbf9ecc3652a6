"""Equality of a top-k result is what its target declares: as a heap lies, or sorted by distance."""

from __future__ import annotations

import numpy as np
import pytest
from conductor_parts import Bench, write_pool

from lance_autoresearch.errors import MachineError
from lance_autoresearch.records import Fault, FaultKind
from lance_autoresearch.targets.spec import RowOrder

SOURCE = """
use lar_shim::Call;
#[inline(never)]
fn kernel(d: &[f32], n: &[u64], dists: &mut [f32], ids: &mut [u64]) {
    dists.copy_from_slice(d); ids.copy_from_slice(n); BODY
}
pub fn op(call: &mut Call) {
    let (d, n) = (call.f32s(0), call.u64s(1));
    kernel(d, n, call.out_f32s(0), call.out_u64s(1));
}
lar_shim::ops!(op);
"""
DISTS = np.array([1.0, 2.0, 2.0, 5.0, 5.0], np.float32)
IDS = np.array([9, 3, 4, 7, 8], np.uint64)
PARTS: list[dict[str, object]] = [{"rule": "bits32", "elem": 4}, {"rule": "tieband", "elem": 8}]


def fault_of(bench: Bench, rows: RowOrder | None, name: str, body: str,
             parts: list[dict[str, object]] = PARTS) -> Fault | None:
    """What a check finds of a kernel that changes Lance's rows; 5 and 6 tie with the last."""
    pool, expected = (bench.dir / f"{rows}.{kind}" for kind in ("pool", "expected"))
    write_pool(pool, [[DISTS, IDS]], [[20, 40]], parts, rows=rows, ties=[[5, 6, 7, 8]])
    honest = bench.build("rows_honest", SOURCE.replace("BODY", ""))
    assert bench.conductor.write_expected(honest, pool, expected).fault is None
    library = bench.build(f"rows_{name}", SOURCE.replace("BODY", body))
    return bench.conductor.check_pools(library, [(pool, expected)], seed=1).fault


BOTH = (RowOrder.HEAP, RowOrder.SORTED)


@pytest.mark.parametrize("rows", BOTH)
@pytest.mark.parametrize(
    "body", ["", "ids.swap(1, 2);", "ids.swap(3, 4);", "ids[3] = 5; ids[4] = 6;"]
)
def test_rows_at_one_distance_come_in_any_order(bench: Bench, rows: RowOrder, body: str) -> None:
    assert fault_of(bench, rows, "ties", body) is None


@pytest.mark.parametrize("rows", BOTH)
@pytest.mark.parametrize(
    "body",
    ["ids.swap(0, 1);", "ids[4] = 99;", "ids[3] = 8;", "ids[1] = 5;", "dists[0] = 0.5;"],
    ids=["other row", "not tied", "twice", "not at the last distance", "distance"],
)
def test_another_choice_of_rows_is_a_mismatch(bench: Bench, rows: RowOrder, body: str) -> None:
    fault = fault_of(bench, rows, "wrong", body)
    assert fault is not None and fault.kind is FaultKind.MISMATCH


def test_only_a_heap_may_leave_its_rows_in_any_order(bench: Bench) -> None:
    body = "dists.reverse(); ids.reverse();"
    assert fault_of(bench, RowOrder.HEAP, "turned", body) is None
    fault = fault_of(bench, RowOrder.SORTED, "turned", body)
    assert fault is not None and fault.kind is FaultKind.MISMATCH


@pytest.mark.parametrize(
    ("rows", "rules"),
    [(None, ("bits32", "tieband")), (RowOrder.HEAP, ("bits32", "bytes")),
     (RowOrder.SORTED, ("tieband", "tieband"))],
)  # fmt: skip
def test_the_rule_of_ties_and_the_rows_are_declared_together(
    bench: Bench, rows: RowOrder | None, rules: tuple[str, str]
) -> None:
    parts: list[dict[str, object]] = [
        {"rule": rule, "elem": elem} for rule, elem in zip(rules, (4, 8), strict=True)
    ]
    with pytest.raises(MachineError, match="rows are distances"):
        fault_of(bench, rows, "declared", "", parts)
