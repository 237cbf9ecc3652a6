"""Answers kept in freed memory: a gain must be there on inputs that no process meets twice."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conductor_parts import programs
from test_threats import outcome, text_of

from lance_autoresearch.bench.conductor import Conductor
from lance_autoresearch.bench.meter import Sides, measure_pairs
from lance_autoresearch.build import builder
from lance_autoresearch.campaign.coordinator import Coordinator
from lance_autoresearch.judge.admission import admit
from lance_autoresearch.judge.defences import measure_distinct
from lance_autoresearch.records import (
    Claim,
    ComboId,
    Comparison,
    DistinctInputsResult,
    PairTimes,
)
from lance_autoresearch.rules.defences import judge_distinct_inputs
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.targets.champion import read_champion
from lance_autoresearch.targets.spec import Target

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import threats  # noqa: E402


@pytest.fixture(scope="module")
def opened() -> Iterator[dict[str, Coordinator]]:
    """Coordinators by target, opened when first asked for."""
    ready: dict[str, Coordinator] = {}
    yield ready
    for rig in ready.values():
        rig.__exit__(None, None, None)


def is_half_valid(seen: Comparison) -> bool:
    return 2 * sum(pair.void is None for pair in seen.pairs) >= len(seen.pairs)


def rig_of(opened: dict[str, Coordinator], target: str) -> Coordinator:
    if target not in opened:
        opened[target] = Coordinator(ROOT, target).__enter__()
    return opened[target]


def cold(ratio: float) -> Comparison:
    """24 pairs of one combo in which the candidate is `ratio` times as fast."""
    pairs = []
    for i in range(24):
        wobble = 1 + 0.01 * (i % 5 - 2)
        rounds = ((int(1000 * ratio * wobble),) * 2,)
        pairs.append(PairTimes((1,), rounds, ((1000, 1000),), (0, 0), None))
    return Comparison((ComboId("op", "toy", 1.0),), tuple(pairs), 1.0, ())


@pytest.mark.parametrize(
    ("ratio", "claimed", "rejected"),
    [(0.5, 200, True), (0.98, 20, True), (1.02, 30, True), (1.15, 20, False), (1.1, 20, False),
     (1.0, 4, False), (1.6, 85, False), (2.0, 60, False)],
)  # fmt: skip
def test_a_gain_must_be_there_on_unseen_inputs(
    ratio: float, claimed: float, rejected: bool
) -> None:
    assert judge_distinct_inputs(cold(ratio), Claim("all", claimed), DEFAULT).rejected is rejected


@contextmanager
def unwiped(rig: Coordinator) -> Iterator[None]:
    """What a kernel leaves in memory survives its slices."""
    bench, on = rig.bench, rig.bench.conductor
    where = programs("lar-worker/test-no-wipe")
    with Conductor(ROOT, bin_dir=where, core_a=bench.cores[0], core_b=bench.cores[1]) as off:
        bench.conductor = off
        try:
            yield
        finally:
            bench.conductor = on


@pytest.mark.timing
def test_overwriting_alone_stops_a_memo_in_freed_memory(opened: dict[str, Coordinator]) -> None:
    """Admitted, right in every output; where memory keeps its content, several times faster."""
    rig, text = rig_of(opened, "pq-l2"), text_of("pq-l2/heap-residue")
    admit(text)
    assert outcome(rig, text) is None
    so = builder.build_kernel(ROOT, "pq-l2", text).so
    pools, _ = rig.bench.inputs.make_fresh()
    sides = Sides(rig.bench.build(rig.champion_text).so, so)
    with unwiped(rig):
        won = threats.repeated_gain(rig, sides, pools)
    kept = threats.repeated_gain(rig, sides, pools)
    if won is None or kept is None:
        pytest.skip("the machine is too busy to measure anything")
    assert won > 50 and kept < 0


@pytest.mark.timing
def test_inputs_met_once_alone_stop_a_memo_in_freed_memory(opened: dict[str, Coordinator]) -> None:
    """The same memo if memory kept its content: inputs that no process meets twice stop it too."""
    rig, text = rig_of(opened, "pq-l2"), text_of("pq-l2/heap-residue")
    with unwiped(rig):
        _meet_inputs_once(rig, text)


def _meet_inputs_once(rig: Coordinator, text: bytes) -> None:
    so = builder.build_kernel(ROOT, "pq-l2", text).so
    pools, _ = rig.bench.inputs.make_fresh()
    sides = Sides(rig.bench.build(rig.champion_text).so, so)
    gain = threats.repeated_gain(rig, sides, pools)
    if gain is None:
        pytest.skip("the machine is too busy to measure anything")
    assert gain > 50, "with repeated inputs it gains"
    strange = rig.bench.inputs.make_distinct()
    for _ in range(10):
        seen = measure_distinct(rig.bench, sides, strange, DEFAULT)
        if is_half_valid(seen):
            assert judge_distinct_inputs(seen, Claim("all", gain), DEFAULT).rejected
            return


@pytest.mark.deep
@pytest.mark.timing
def test_fresh_processes_alone_stop_answers_solved_before(opened: dict[str, Coordinator]) -> None:
    """The same calls on the same inputs: 24 pairs, or one pair of processes that lives as long."""
    rig = rig_of(opened, "pq-l2")
    so = builder.build_kernel(ROOT, "pq-l2", text_of("pq-l2/heap-residue")).so
    pools, _ = rig.bench.inputs.make_fresh()

    def seen(pairs: int, rounds: int) -> DistinctInputsResult:
        once = [1] * len(pools)
        sides = [Sides(rig.bench.build(rig.champion_text).so, so)]
        meter = rig.bench.make_meter(sides, pools, DEFAULT, rounds=rounds, calls=once)
        with rig.bench.hold_machine():
            found = measure_pairs(meter, pairs)
        if sum(pair.void is None for pair in found.pairs) < 4:
            pytest.skip("the machine is too busy to measure anything")
        return judge_distinct_inputs(found, Claim("all", 100.0), DEFAULT)

    few, many = DEFAULT.distinct_rounds, DEFAULT.distinct_rounds * DEFAULT.distinct_pairs
    with unwiped(rig):
        living, fresh = seen(8, many), seen(24, few)
    assert living.gain > 50 and not living.rejected, "in a process that lives on it gains"
    assert fresh.gain < 10 and fresh.rejected


def known_sizes_only(target: Target, champion: str, lance: str) -> str:
    """The champion at every timed size and every second one; everywhere else Lance's own loops."""
    shapes = [s for c in target.timed for s in (c.shape, c.confirm) if s and c.op == "scan8"]
    tables = [s for c in target.timed for s in (c.shape, c.confirm) if s and c.op == "table_l2"]
    scans = " | ".join(f"({s['m']}, {s['n']})" for s in shapes)
    sizes = " | ".join(f"({s['m']}, {s['dsub']})" for s in tables)
    for name in ("scan8", "table_l2"):
        assert champion.count(f"\npub fn {name}(") == lance.count(f"pub fn {name}(") == 1
        champion = champion.replace(f"\npub fn {name}(", f"\nfn fast_{name}(")
        lance = lance.replace(f"pub fn {name}(", f"fn slow_{name}(")
    return champion + lance + f"""
pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {{
    let known = matches!((m, out.len()), {scans});
    if known {{ fast_scan8(table, m, codes, out) }} else {{ slow_scan8(table, m, codes, out) }}
}}
pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {{
    let known = matches!((m, query.len() / m), {sizes});
    let one = if known {{ fast_table_l2 }} else {{ slow_table_l2 }};
    one(codebook, m, query, out)
}}
"""


@pytest.mark.deep
@pytest.mark.timing
def test_a_kernel_that_is_fast_at_known_sizes_only_is_refused(
    opened: dict[str, Coordinator]
) -> None:
    """Right at every size, so comparing outputs finds nothing; it knows confirmation's sizes."""
    rig = rig_of(opened, "pq-l2")
    plain = text_of("pq-l2/heap-residue").decode()
    plain = plain[plain.index("fn honest("):].replace("fn honest(", "pub fn scan8(")
    champion = (read_champion(ROOT, "pq-l2") or b"").decode()
    text = known_sizes_only(rig.target, champion, plain).encode()
    assert outcome(rig, text) is None
    so = builder.build_kernel(ROOT, "pq-l2", text).so
    sides = Sides(rig.bench.build(rig.champion_text).so, so)
    pools, _ = rig.bench.inputs.make_fresh()
    gain = threats.repeated_gain(rig, sides, pools)
    if gain is None:
        pytest.skip("the machine is too busy to measure anything")
    assert gain > 20, "at its sizes it is the champion"
    inputs = (pools, rig.bench.inputs.make_distinct())
    known, strange = (measure_distinct(rig.bench, sides, p, DEFAULT) for p in inputs)
    if not (is_half_valid(known) and is_half_valid(strange)):
        pytest.skip("the machine is too busy to measure anything")
    assert not judge_distinct_inputs(known, Claim("all", gain), DEFAULT).rejected
    assert judge_distinct_inputs(strange, Claim("all", gain), DEFAULT).rejected


@pytest.mark.deep
@pytest.mark.timing
@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("records/ideas/*/*.rs")), ids=lambda p: f"{p.parent.name}/{p.stem}"
)
def test_an_honest_gain_is_there_on_inputs_met_once(
    path: Path, opened: dict[str, Coordinator]
) -> None:
    rig = rig_of(opened, path.parent.name)
    if outcome(rig, path.read_bytes()) is not None:
        pytest.skip("not an honest one")
    so = builder.build_kernel(ROOT, path.parent.name, path.read_bytes()).so
    pools, _ = rig.bench.inputs.make_fresh()
    sides = Sides(rig.bench.build(rig.champion_text).so, so)
    gain = threats.repeated_gain(rig, sides, pools)
    if gain is not None and gain > 1:
        seen = measure_distinct(rig.bench, sides, rig.bench.inputs.make_distinct(), DEFAULT)
        if is_half_valid(seen):
            assert not judge_distinct_inputs(seen, Claim("all", gain), DEFAULT).rejected
