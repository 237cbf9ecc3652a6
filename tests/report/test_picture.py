"""The curve and progress.png: what is drawn is what was measured."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from campaign_parts import FIRST, kernel
from night_parts import screened, trial

from lance_autoresearch.records import Estimate, TrialRecord, Verdict
from lance_autoresearch.report.picture import draw_picture, place_labels
from lance_autoresearch.text.curve import (
    FLOOR,
    Curve,
    choose_scale,
    compute_curve,
    find_overall_gain,
)


def kept(gain: float, idea: str = "idea") -> TrialRecord:
    return trial(kernel(1), FIRST, Verdict.KEEP, (gain, gain, gain), hypothesis=idea)


def missed(gain: float) -> TrialRecord:
    return trial(kernel(2), FIRST, gains=(gain, gain, gain))


WRONG = trial(kernel(3), FIRST, Verdict.INCORRECT, None)


def test_keeps_multiply_and_misses_do_not_move_the_line() -> None:
    curve = compute_curve([missed(-50.0), kept(25.0), WRONG, missed(10.0), kept(100.0)])
    assert curve.line == pytest.approx([1.0, 1.25, 1.25, 1.25, 2.5])
    assert curve.dots == [
        pytest.approx(0.5), pytest.approx(1.25), None, pytest.approx(1.375), pytest.approx(2.5)
    ]


def test_the_line_is_about_all_combos_even_where_one_op_was_claimed() -> None:
    record = kept(40.0)
    confirmation = record.results.confirmation
    assert confirmation is not None
    components = (*confirmation.components, Estimate("table_l2", 92.0, 91.0, 93.0, 16))
    claimed = replace(confirmation, claim="table_l2", components=components)
    record = replace(record, results=replace(record.results, confirmation=claimed))
    assert find_overall_gain(record) == pytest.approx(40.0)
    reverted = trial(kernel(1), FIRST, gains=(3.0, 3.0, 3.0))
    assert find_overall_gain(reverted) == pytest.approx(3.0)


def test_a_trial_without_a_valid_pair_was_not_measured() -> None:
    record = trial(kernel(1), FIRST, Verdict.INCONCLUSIVE)
    nothing = replace(record.results, screening=screened((0.0, 0.0, 0.0), pairs=0))
    record = replace(record, results=nothing)
    assert find_overall_gain(record) is None and compute_curve([record]).dots == [None]


def test_large_gains_get_a_logarithmic_axis_and_small_ones_do_not() -> None:
    small, large = (
        choose_scale(compute_curve([kept(3.0)])),
        choose_scale(compute_curve([kept(200.0), kept(100.0)])),
    )
    assert not small.log and large.log
    assert small.low < 1.0 < 1.03 < small.high and large.low < 1.0 < 6.0 < large.high


def test_a_hopeless_trial_does_not_squeeze_the_axis() -> None:
    axis = choose_scale(compute_curve([missed(-99.0), kept(5.0)]))
    assert axis.low > FLOOR / 1.2 and axis.compute_height(0.01) == 0.0


def test_ticks_are_inside_ordered_and_few_for_any_night() -> None:
    dice = random.Random(5)
    for _ in range(300):
        line = [math.exp(dice.uniform(0, dice.choice((0.01, 0.5, 3, 7)))) for _ in range(3)]
        axis = choose_scale(Curve(sorted(line), [dice.uniform(0.01, max(line)), None, line[2]]))
        assert 2 <= len(axis.ticks) <= 12
        assert all(a < b for a, b in pairwise(axis.ticks))
        assert axis.low <= axis.ticks[0] and axis.ticks[-1] <= axis.high
        heights = [axis.compute_height(tick) for tick in axis.ticks]
        assert heights == sorted(heights) and heights[0] >= 0 and heights[-1] <= 1
        assert 0 < axis.compute_height(1.0) < 1


def test_labels_never_lie_over_each_other_or_outside() -> None:
    dice = random.Random(11)
    trials = [
        kept(dice.uniform(0.5, 5.0), f"an idea that needs some words {i}") if dice.random() < 0.3
        else missed(dice.gauss(-3, 3))
        for i in range(120)
    ]
    curve = compute_curve(trials)
    placed = place_labels(trials, curve, choose_scale(curve))
    assert len(placed) >= 3
    assert not [1 for a in placed for b in placed if a is not b and a.has_overlap(b)]
    assert all(label.left >= 0.0 and label.right <= 1.0 for label in placed)


@pytest.mark.parametrize(
    "trials",
    [[], [WRONG], [kept(3.0)], [missed(-99.9)] * 3, [kept(500.0)] * 4 + [WRONG]],
    ids=["none", "untimed", "one", "hopeless", "large"],
)
def test_every_kind_of_night_is_drawn(trials: list[TrialRecord], tmp_path: Path) -> None:
    picture = draw_picture(
        trials, tmp_path / "new" / "progress.png", "pq-l2: $night$_{x}"
    ).read_bytes()
    size = [int.from_bytes(picture[at : at + 4], "big") for at in (16, 20)]
    assert picture.startswith(b"\x89PNG") and size == [1600, 800]


def test_a_hostile_idea_is_drawn_as_text(tmp_path: Path) -> None:
    idea = "$\\frac{1}{0}$ \x1b[31m\u202e \\input{/etc/passwd} 漢字"
    assert (
        draw_picture([kept(3.0, idea), kept(4.0)], tmp_path / "p.png", idea).stat().st_size > 10_000
    )
