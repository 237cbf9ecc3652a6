"""Kernels that a median keeps: slow on rare inputs, or in one size class. Every input counts.

They are toys in the real measuring programs. Each is the honest kernel but for the inputs on which
it is slow, so no other defence has anything against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.layouts import link_layouts
from lance_autoresearch.judge.totals import Totals, defend_totals
from lance_autoresearch.ledger.pairs_json import decode_trial, encode_trial
from lance_autoresearch.oracle import ensure_extracts
from lance_autoresearch.records import Comparison, ReasonKind, TrialPairs
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.rules.totals import judge_totals

ROOT = Path(__file__).resolve().parents[2]
LOOP = "    for (out, &x) in out.iter_mut().zip(input) {\n"
AGAIN = """    if %s {
        for _ in 0..%d {
            for &x in input {
                core::hint::black_box(weights.iter().fold(0.0f32, |sum, &w| sum * x + w));
            }
        }
    }
"""
FEW = ReasonKind.FEW_VALID_PAIRS


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench(ROOT, "_toy") as opened:
        opened.begin_trial()
        yield opened


def spoil(condition: str, times: int) -> bytes:
    """Lance's own code, which works a number of times again under a condition."""
    text = (ensure_extracts(ROOT, "_toy") / "kernel.rs").read_text()
    assert text.count(LOOP) == 1
    return text.replace(LOOP, AGAIN % (condition, times) + LOOP).encode()


def defend(bench: Bench, text: bytes) -> Totals:
    """The defence's answer; skips on a machine that is too busy."""
    layouts = link_layouts(bench.build(bench.first_kernel), bench.build(text), 6)
    for _ in range(3):
        found = defend_totals(bench, layouts, DEFAULT)
        if found.end is None or found.end.reason.kind is not FEW:
            return found
    pytest.skip("the machine is too busy to measure anything")


@pytest.mark.timing
def test_the_same_code_is_not_refused_and_can_be_judged_again(bench: Bench) -> None:
    found = defend(bench, spoil("false", 1))
    assert found.end is None and found.result is not None
    assert [row.inputs for row in found.result.ops] == [1000, 1000]
    whole = TrialPairs(Comparison(bench.combos, (), 1.0), totals=found.times)
    again = decode_trial(encode_trial(whole, DEFAULT)).pairs.totals
    assert again == found.times
    assert judge_totals(again, DEFAULT) == found.result


@pytest.mark.timing
@pytest.mark.parametrize(
    ("condition", "times"),
    [("input.len() > 256 && weights[0].to_bits() % 16 == 0", 30),
     ("weights[0].to_bits() % 200 == 0", 30), ("(2000..20_000).contains(&input.len())", 2)],
    ids=["one in sixteen", "one in 200", "a range of sizes"],
)  # fmt: skip
def test_slow_inputs_are_refused(bench: Bench, condition: str, times: int) -> None:
    found = defend(bench, spoil(condition, times))
    assert found.end is not None
    assert found.end.reason.kind in (ReasonKind.SLOW_INPUTS, ReasonKind.TOTAL_SLOWER)
    assert found.end.reason.about.startswith("blend, ")
