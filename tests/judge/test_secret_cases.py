"""Kernels that are wrong only where no fixed size or datum looks: secret cases refuse them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from injected_delays import injected_gain
from kernels import around
from tiers import FAST_TARGET, fast_for, fast_where

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.drawn import DrawKind, draw_cases, list_draw
from lance_autoresearch.campaign.coordinator import Coordinator, Story, make_record
from lance_autoresearch.host.phases import Phases
from lance_autoresearch.judge.secret_cases import check_secret_cases
from lance_autoresearch.ledger.results_json import encode_fault
from lance_autoresearch.records import FaultKind, ReasonKind, Verdict
from lance_autoresearch.rules.policy import DRAWS
from lance_autoresearch.targets.catalogue import list_targets, load_target
from lance_autoresearch.targets.cheats import load_cheats
from lance_autoresearch.targets.spec import Combo, Target
from lance_autoresearch.text.fault_text import describe_fault

ROOT = Path(__file__).resolve().parents[2]
TARGETS = list_targets(ROOT, hidden=True)
SEEDS = range(20)
DIMENSIONS = (2, 3, 5, 6, 10, 20, 48, 64, 96, 256)


def is_rows(low: int, high: float = math.inf) -> Callable[[Combo], bool]:
    return lambda case: low <= case.shape["n"] < high


REGIONS: Mapping[str, Callable[[Combo], bool]] = {
    "_toy/between-sizes@blend": is_rows(26_000, 40_000),
    "_toy/between-sizes@compact": is_rows(26_000, 40_000),
    "_toy/past-16-bits@blend": is_rows(65_536),
    "_toy/past-16-bits@compact": is_rows(65_536),
    "pq-l2/many-parts@scan8": lambda case: (
        case.shape["m"] > 255 or 26_000 <= case.shape["n"] < 40_000
    ),
    "pq-l2/known-dimensions@table_l2": lambda case: (
        case.shape["m"] > 192 or case.shape["dsub"] in DIMENSIONS
    ),
    "topk-merge/many-rows@accumulate": is_rows(150_001),
    "fsst/narrow-offsets@decompress_i64": lambda case: case.dist.endswith("wide"),
}
"""Cheats that are wrong in all of a region of sizes or families -> the region."""
BY_DATA = ("topk-merge/short-ids@accumulate", "topk-merge/heap-when-small@accumulate")
"""Cheats that are wrong on some of the data of their region."""
NEW = (*REGIONS, *BY_DATA)


IN_TIERS = fast_where(REGIONS, lambda name: name.startswith(("_toy", FAST_TARGET)))


@pytest.mark.parametrize("cheat", IN_TIERS)
def test_a_full_draw_always_meets_each_region(cheat: str) -> None:
    """In each of 20 draws; the least of them still has a few cases there."""
    target = load_target(ROOT, cheat.partition("/")[0])
    op = cheat.partition("@")[2]
    counts = [
        sum(REGIONS[cheat](case) for case in draw_cases(target, seed, DrawKind.FULL)
            if case.op == op)
        for seed in SEEDS
    ]  # fmt: skip
    assert min(counts) >= 2, counts


@pytest.mark.parametrize("name", fast_for(TARGETS, FAST_TARGET))
def test_every_draw_holds_the_borders_of_integer_widths(name: str) -> None:
    target = load_target(ROOT, name)
    for seed in SEEDS:
        small, full = (draw_cases(target, seed, kind) for kind in DrawKind)
        for space in target.spaces:
            for quantity, each in space.ranges.items():
                sizes = [
                    {case.shape[quantity] for case in cases if case.op == space.op}
                    for cases in (small, full)
                ]
                assert sizes[0] >= set(each.list_widths()), (space.op, quantity, seed)
                assert sizes[1] >= set(each.list_borders()), (space.op, quantity, seed)


def measure_spread(target: Target, combo: Combo, dist: str) -> list[float]:
    """Spread of the middle of each argument over draws."""
    calls = [
        next(iter(target.inputs(combo.op, combo.shape, dist, np.random.default_rng(seed), 1, None)))
        for seed in range(16)
    ]
    middles = [[find_middle(arg) for arg in call.args] for call in calls]
    return [float(np.std(column)) for column in zip(*middles, strict=True)]


def find_middle(values: np.ndarray) -> float:
    """The median of the finite values: a drawn extreme alone is no spread."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite.astype(np.float64))) if finite.size else 0.0


@pytest.mark.parametrize("name", fast_for(TARGETS, FAST_TARGET))
def test_every_timed_distribution_has_a_form_with_drawn_parameters(name: str) -> None:
    """An argument's middle spreads at least twice as much as by its values alone."""
    target = load_target(ROOT, name)
    if (ROOT / "targets" / name / "maker.rs").is_file():
        pytest.skip("its text is made by a program: test_target_fsst.py")
    for combo in target.timed:
        plain, drawn = (measure_spread(target, combo, d) for d in (combo.dist, combo.drawn_dist))
        assert any(b > 2 * a for a, b in zip(plain, drawn, strict=True)), combo.name


@pytest.fixture(scope="module", params=[
    "_toy", *(pytest.param(name, marks=pytest.mark.deep) for name in list_targets(ROOT))
])  # fmt: skip
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with Bench(ROOT, request.param) as opened:
        opened.begin_trial()
        yield opened


def test_what_fixed_cases_accept_a_full_draw_refuses(bench: Bench) -> None:
    """Each cheat of the class passes every fixed and timed case, and no full draw."""
    cheats = [cheat for cheat in load_cheats(ROOT, bench.target.name) if cheat.id in NEW]
    assert cheats
    fixed = bench.inputs.select_cases("native", drawn=False)
    for cheat in cheats:
        built = bench.build(cheat.text)
        passed = bench.check_library(built.so, "native", fixed)
        assert passed.fault is None, f"{cheat.id}: a fixed case refuses it already"
        assert check_secret_cases(bench, built).end is not None, cheat.id


def test_the_honest_kernel_passes_and_a_draw_is_bounded(bench: Bench) -> None:
    found = check_secret_cases(bench, bench.build(bench.first_kernel))
    assert found.end is None
    assert found.calls == DRAWS.full_cases * len(bench.target.ops) * len(bench.list_tiers())
    assert found.mib < 1024
    assert found.mib * DRAWS.ahead < 1024


def test_a_fault_names_family_and_size_class_only(bench: Bench) -> None:
    if bench.target.name != "_toy":
        pytest.skip("one target shows it")
    text = next(c.text for c in load_cheats(ROOT, "_toy") if c.id == "_toy/past-16-bits@blend")
    end = check_secret_cases(bench, bench.build(text)).end
    assert end is not None and end.fault is not None
    fault = end.fault
    assert (fault.call, fault.offset, fault.differs, fault.total) == (0, 0, 0, 0)
    assert (fault.got, fault.want, fault.note) == (b"", b"", None)
    assert fault.combo.startswith("blend drawn ")
    place = fault.combo.partition(", ")[2]
    assert place in ("n 10,000 to 99,999", "n 100,000 to 999,999")
    said = describe_fault(bench.target, fault)
    assert fault.combo.removeprefix("blend ") in said and "disagrees with Lance" in said
    assert "vs" not in said.split()
    assert encode_fault(fault)["got"] is None


def test_the_same_seed_makes_the_same_cases_and_another_seed_others(tmp_path: Path) -> None:
    target = load_target(ROOT, "_toy")
    first, again, other = (
        [pool.cases for pool in list_draw(target, tmp_path, seed, DrawKind.FULL)]
        for seed in (3, 3, 4)
    )
    assert first == again != other


@pytest.mark.timing
def test_a_faster_kernel_that_is_wrong_beyond_fixed_sizes_is_no_keep() -> None:
    """It passes the check and screening; the draw of its confirmation finds it."""
    flip = "if out.len() > 141_000 { out[7] = f32::from_bits(out[7].to_bits() ^ 1); }"
    gain = injected_gain("pq-l2")
    with Coordinator(ROOT, "pq-l2", champion=gain.champion) as coordinator:
        for _ in range(4):
            coordinator.begin_phases(Phases())
            judged = coordinator.judge(around(gain.candidate, "scan8", after=flip), Story())
            record = make_record(judged, Story(), coordinator.target)
            if record.verdict is not Verdict.INCONCLUSIVE:
                break
    assert record.verdict is Verdict.INCORRECT
    assert judged.reason.kind is ReasonKind.FAULT
    assert judged.fault is not None and judged.fault.kind is FaultKind.MISMATCH
    assert "drawn" in judged.fault.combo and "16x" not in record.reason
    assert record.phases["draw"] >= 0 and record.phases["drawn"] > 0
    assert len(record.burnt_seeds) == 1, "the draw's seed is published, a confirmation's is not"
