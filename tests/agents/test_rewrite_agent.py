"""The agent `rewrite`: what it draws, combines, drops and remembers. Nothing is timed."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from agent_parts import ROOT, checkout
from campaign_parts import record

from lance_autoresearch.agents import Turn
from lance_autoresearch.agents.rewrite import RewriteAgent, list_combinations, read_facts
from lance_autoresearch.agents.rewrite_draw import COMBINED, Arm, count_arms, draw_arm
from lance_autoresearch.build.builder import compose_first_kernel
from lance_autoresearch.host.machine import describe_machine
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.records import (
    Reason,
    ReasonKind,
    Results,
    RewriteStep,
    TrialRecord,
    Verdict,
)
from lance_autoresearch.rewrites import Facts, list_rewrites
from lance_autoresearch.targets import catalogue
from lance_autoresearch.text.kind_gains import format_kind_gain, sum_kind_gains

UNROLL = RewriteStep("unroll", "f", "loop 1 by 2")
TOY = "_toy"


def trial(
    *steps: RewriteStep, kernel: bytes = b"k", champion: bytes = b"c", kind: str = "zen3",
    verdict: Verdict = Verdict.REVERT, reason: ReasonKind = ReasonKind.SLOWER, gain: float = 2.5,
) -> TrialRecord:  # fmt: skip
    results = Results(reason=Reason(reason), rewrites=steps)
    return record(kernel, champion, verdict, results=results, gain=gain, target=TOY,
                  machine={"cpu_kind": kind})


def test_what_paid_here_is_drawn_more_often_and_nothing_dies_out() -> None:
    rows = [trial(UNROLL, verdict=Verdict.KEEP)] * 6
    rows += [trial(replace(UNROLL, kind="inline"))] * 6
    rows += [trial(replace(UNROLL, kind="inline"), kind="zen4", verdict=Verdict.KEEP)] * 9
    rows += [trial(UNROLL, verdict=Verdict.INCONCLUSIVE), trial(UNROLL, UNROLL), trial()]
    arms = count_arms(rows, "zen3")
    assert arms == {"unroll": Arm(6, 6), "inline": Arm(6, 0), COMBINED: Arm(1, 0)}
    rng = random.Random(1)
    for better, worse in (("unroll", "select"), ("select", "inline")):
        drawn = [draw_arm(arms, [better, worse], rng) for _ in range(1000)]
        assert drawn.count(better) > 2 * drawn.count(worse) > 0


def test_rewrites_that_were_not_proven_are_combined_where_they_are_disjoint() -> None:
    text = b"const A: usize = 8;\nconst B: usize = 8;\n"
    usable = list_rewrites(text, Facts())
    steps = {r.step.label: r.step for r in usable}
    more, less = steps["knobs A: 8 -> 16"], steps["knobs A: 8 -> 4"]
    other = steps["knobs B: 8 -> 4"]
    unproven = ReasonKind.NOT_PROVEN
    rows = [trial(more, reason=unproven, gain=1.0), trial(less, reason=unproven, gain=2.0),
            trial(other, reason=unproven, gain=0.5), trial(steps["knobs B: 8 -> 16"])]
    pairs = [{r.step for r in pair} for pair in list_combinations(usable, rows)]
    assert pairs == [{less, other}, {more, other}]
    slower = [trial(more, reason=unproven, gain=-1.0), trial(other, reason=unproven)]
    assert not list(list_combinations(usable, slower))


def test_the_order_of_float_additions_is_free_only_where_all_outputs_are_in_ulps() -> None:
    target = catalogue.load_target(ROOT, "pq-l2")
    assert not read_facts(target).reorders_floats
    ulps = [replace(op, outputs=tuple(replace(o, rule="ulp32:4") for o in op.outputs))
            for op in target.ops]
    assert read_facts(replace(target, ops=tuple(ulps))).reorders_floats
    assert not read_facts(replace(target, ops=(ulps[0], *target.ops[1:]))).reorders_floats


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("rewrite"))


def test_proposals_compile_are_reproducible_and_never_come_twice(root: Path) -> None:
    text = compose_first_kernel(root, TOY)
    turn = Turn(TOY, text, Path("kernels.rs"), (), root)
    agent = RewriteAgent()
    first, second = agent.propose(turn), agent.propose(turn)
    again = RewriteAgent().propose(turn)
    assert first is not None and second is not None and first.rewrites != second.rewrites
    assert again == first, "the same ledger, the same proposal"
    others = [RewriteAgent().propose(replace(turn, home=Path(str(n)))) for n in range(4)]
    assert len({other.rewrites for other in others if other is not None}) > 1, "several agents"
    assert first.hypothesis == f"rewrite {first.rewrites[0].label}"
    assert b"rewrite " + first.rewrites[0].kind.encode() in first.text


def test_what_failed_is_not_proposed_again_for_a_later_champion(root: Path) -> None:
    text = b"const A: usize = 8;\n" + compose_first_kernel(root, TOY)
    cpu = describe_machine()["cpu_kind"]
    usable = list_rewrites(text, Facts())
    knob = next(r.step for r in usable if r.step.change == "8 -> 4")
    failed = [trial(r.step, kernel=r.step.label.encode(), champion=b"older", kind=cpu)
              for r in usable if r.step != knob]
    turn = Turn(TOY, text, Path("kernels.rs"), tuple(failed), root)
    agent = RewriteAgent()
    proposal = agent.propose(turn)
    assert proposal is not None and proposal.rewrites == (knob,)
    assert agent.propose(turn) is None, "it was the only one left"


def test_the_ledger_of_earlier_campaigns_is_its_memory(root: Path) -> None:
    text = b"const B: usize = 8;\n" + compose_first_kernel(root, TOY)
    with Ledger.open(root) as ledger:
        for step in (r.step for r in list_rewrites(text, Facts())):
            ledger.append(trial(step, kernel=step.label.encode(), champion=b"other"))
    assert RewriteAgent().propose(Turn(TOY, text, Path("kernels.rs"), (), root)) is None


def test_the_end_of_a_loop_names_what_each_kind_gained() -> None:
    rows = [trial(UNROLL, verdict=Verdict.KEEP, gain=10.0),
            trial(UNROLL, verdict=Verdict.KEEP, gain=20.0),
            trial(replace(UNROLL, kind="inline"), reason=ReasonKind.NOT_PROVEN),
            trial(UNROLL, replace(UNROLL, kind="bounds"), verdict=Verdict.INCORRECT), trial()]
    found = sum_kind_gains(rows)
    assert [(r.kind, r.trials, r.kept, r.not_proven, r.wrong) for r in found] == [
        ("unroll", 2, 2, 0, 0), ("bounds + unroll", 1, 0, 0, 1), ("inline", 1, 0, 1, 0)]
    assert format_kind_gain(found[0]).split() == ["unroll", "2", "trials,", "2", "kept:", "1.320x"]
