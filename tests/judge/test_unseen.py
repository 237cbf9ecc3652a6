"""Answers kept in freed memory: a gain must be there on inputs that no process meets twice."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_threats import outcome, text_of

from lance_autoresearch.bench.rig import Rig
from lance_autoresearch.build import builder
from lance_autoresearch.campaign.subject import committed_champion
from lance_autoresearch.judge.admission import admit
from lance_autoresearch.judge.compare import refuse_memory, times, unseen_pairs
from lance_autoresearch.judge.early_verdict import Ended
from lance_autoresearch.records import ComboId, Comparison, PairTimes, Verdict
from lance_autoresearch.rules.confirmation import UnseenResult, unseen
from lance_autoresearch.targets.spec import Target

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import threats  # noqa: E402


@pytest.fixture(scope="module")
def opened() -> Iterator[dict[str, Rig]]:
    """Rigs by target, opened when first asked for."""
    ready: dict[str, Rig] = {}
    yield ready
    for rig in ready.values():
        rig.__exit__(None, None, None)


def rig_of(opened: dict[str, Rig], target: str) -> Rig:
    if target not in opened:
        opened[target] = Rig(ROOT, target).__enter__()
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
    assert unseen(cold(ratio), "all", claimed).rejected is rejected


@pytest.mark.timing
def test_inputs_met_once_alone_stop_a_memo_in_freed_memory(opened: dict[str, Rig]) -> None:
    """Everything else lets it through: admitted, right in every output, several times faster."""
    rig, text = rig_of(opened, "pq-l2"), text_of("pq-l2/heap-residue")
    admit(text)
    assert outcome(rig, text) is None
    so = builder.build_kernel(ROOT, "pq-l2", text).so
    pools, _ = rig.fresh_pools()
    sides = (rig.champion.so, so)
    gain = threats.repeated_gain(rig, sides, pools)
    if gain is None:
        pytest.skip("the machine is too busy to measure anything")
    assert gain > 50, "with repeated inputs it gains"
    strange = rig.strange_pools()
    for _ in range(10):
        with pytest.raises(Ended) as caught:
            refuse_memory(unseen_pairs(rig, sides, strange), "all", gain)
        if caught.value.verdict is not Verdict.INCONCLUSIVE:
            break
    if caught.value.verdict is Verdict.REJECTED:
        assert "meets each for the first time" in caught.value.reason


@pytest.mark.timing
def test_fresh_processes_alone_stop_answers_solved_before(opened: dict[str, Rig]) -> None:
    """The same calls on the same inputs: 24 pairs, or one pair of processes that lives as long."""
    rig = rig_of(opened, "pq-l2")
    so = builder.build_kernel(ROOT, "pq-l2", text_of("pq-l2/heap-residue")).so
    pools, _ = rig.fresh_pools()

    def seen(pairs: int, rounds: int) -> UnseenResult:
        once = [1] * len(pools)
        found = [
            times(rig, rig.pair(rig.champion.so, so, pools, rounds=rounds, calls=once))
            for _ in range(pairs)
        ]
        if sum(pair.void is None for pair in found) < 4:
            pytest.skip("the machine is too busy to measure anything")
        return unseen(rig.comparison(found, floored=False), "all", 100.0)

    few, many = rig.policy.distinct_rounds, rig.policy.distinct_rounds * rig.policy.distinct_pairs
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


@pytest.mark.timing
def test_a_kernel_that_is_fast_at_known_sizes_only_is_refused(opened: dict[str, Rig]) -> None:
    """Right at every size, so comparing outputs finds nothing; it knows confirmation's sizes."""
    rig = rig_of(opened, "pq-l2")
    plain = text_of("pq-l2/second-size").decode()
    plain = plain[plain.index("fn honest("):].replace("fn honest(", "pub fn scan8(")
    champion = (committed_champion(ROOT, "pq-l2") or b"").decode()
    text = known_sizes_only(rig.target, champion, plain).encode()
    assert outcome(rig, text) is None
    sides = (rig.champion.so, builder.build_kernel(ROOT, "pq-l2", text).so)
    pools, _ = rig.fresh_pools()
    gain = threats.repeated_gain(rig, sides, pools)
    if gain is None:
        pytest.skip("the machine is too busy to measure anything")
    assert gain > 20, "at its sizes it is the champion"
    try:
        known, strange = (unseen_pairs(rig, sides, p) for p in (pools, rig.strange_pools()))
    except Ended:
        pytest.skip("the machine is too busy to measure anything")
    refuse_memory(known, "all", gain)
    with pytest.raises(Ended, match="at every size") as caught:
        refuse_memory(strange, "all", gain)
    assert caught.value.verdict is Verdict.REJECTED


@pytest.mark.timing
@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("records/ideas/*/*.rs")), ids=lambda p: f"{p.parent.name}/{p.stem}"
)
def test_an_honest_gain_is_there_on_inputs_met_once(path: Path, opened: dict[str, Rig]) -> None:
    rig = rig_of(opened, path.parent.name)
    if outcome(rig, path.read_bytes()) is not None:
        pytest.skip("not an honest one")
    so = builder.build_kernel(ROOT, path.parent.name, path.read_bytes()).so
    pools, _ = rig.fresh_pools()
    sides = (rig.champion.so, so)
    gain = threats.repeated_gain(rig, sides, pools)
    if gain is not None and gain > 1:
        strange = rig.strange_pools()
        try:
            refuse_memory(unseen_pairs(rig, sides, strange), "all", gain)
        except Ended as end:
            assert end.verdict is Verdict.INCONCLUSIVE, end.reason
