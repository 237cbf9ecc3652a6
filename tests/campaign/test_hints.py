"""Hints and feedback: what a trial teaches, computed from rows alone."""

from __future__ import annotations

import inspect
import random
from dataclasses import replace
from pathlib import Path

import pytest
from campaign_parts import FIRST, TARGET, checkout, kernel
from night_parts import confirmed, screened, trial

from lance_autoresearch.campaign.briefing import collect_briefing, render_briefing
from lance_autoresearch.campaign.campaign import create_campaign
from lance_autoresearch.campaign.feedback import write_feedback
from lance_autoresearch.campaign.hints import (
    HintThresholds,
    advise,
    list_losing_combos,
    list_misses,
)
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.records import CodeFacts, Guard, Results, TrialRecord, Verdict

MISS = trial(kernel(1), FIRST)
KEPT = trial(kernel(2), FIRST, Verdict.KEEP, (3.0, 3.0, 3.0))
VOID = trial(kernel(3), FIRST, Verdict.INCONCLUSIVE, None)
WRONG = trial(kernel(4), FIRST, Verdict.INCORRECT, None)
REFUSED = trial(kernel(5), FIRST, Verdict.REJECTED, None)


def sized(text_bytes: int) -> Results:
    return Results(code=CodeFacts("ab" * 32, text_bytes=text_bytes))


def kinds(history: list[TrialRecord]) -> list[str]:
    return [hint.kind for hint in advise(history)]


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, None), (2, None), (3, "refine"), (4, "refine"), (5, "pivot"), (14, "pivot"),
     (15, "plateau"), (200, "plateau")],
)
def test_refine_after_three_misses_pivot_after_five_then_a_plateau(
    count: int, said: str | None
) -> None:
    found = kinds([KEPT] + [MISS] * count)
    assert (found[0] if found else None) == said


def test_a_keep_begins_the_count_anew() -> None:
    assert kinds([MISS] * 9 + [KEPT]) == []
    assert len(list_misses([MISS] * 9 + [KEPT, MISS])) == 1


def test_an_undecided_trial_says_nothing_about_its_idea() -> None:
    assert kinds([MISS, VOID, MISS, VOID]) == []
    assert kinds([MISS, VOID, MISS, VOID, MISS])[0] == "refine"


def test_three_wrong_or_refused_kernels_in_a_row_get_their_own_word() -> None:
    assert "wrong" in kinds([MISS, WRONG, WRONG, WRONG])
    assert "refused" in kinds([REFUSED] * 3)
    assert not {"wrong", "refused"} & set(kinds([WRONG, REFUSED, WRONG, MISS]))


def test_the_nearest_miss_and_the_combos_that_always_lose_are_named() -> None:
    near = trial(kernel(6), FIRST, gains=(2.0, -9.0, 1.0e1))
    hints = {hint.kind: hint.text for hint in advise([MISS, near, MISS])}
    assert "2 trials ago, +1.00%" in hints["near"]
    assert hints["worst"].index("scan8 96x4000 uniform") > 0
    assert "table_l2" not in hints["worst"]
    assert list_losing_combos(near) == ["scan8 96x4000 uniform"]


def test_patience_is_a_setting() -> None:
    assert next(h.kind for h in advise([MISS], HintThresholds(refine=1))) == "refine"


def test_any_history_is_answered() -> None:
    dice = random.Random(3)
    for _ in range(200):
        history = dice.choices([MISS, KEPT, VOID, WRONG, REFUSED], k=dice.randrange(12))
        stuck = [kind for kind in kinds(history) if kind in ("refine", "pivot", "plateau")]
        assert len(stuck) == (len(list_misses(history)) >= 3)


def test_a_revert_names_the_combos_with_their_bounds_and_what_noise_hides() -> None:
    lines = write_feedback(trial(kernel(1), FIRST, gains=(-4.1, 0.1, 40.8)))
    assert lines[0] == "lost    scan8 16x2048 clustered -4.1% [-4.5 -3.7]"
    assert lines[1] == "gained  table_l2 16x8 residual +40.8% [+40.4 +41.2]"
    assert lines[2].startswith("noise   a combo's interval is ±0.4 % wide in 9 pairs")


def test_a_combo_that_only_may_have_lost_is_named_where_it_forbade_the_keep() -> None:
    record = trial(kernel(1), FIRST, gains=(0.1, 0.2, 0.3))
    gate = record.results.screening
    assert gate is not None
    doubtful = replace(gate.combos[1], guard=Guard.MAY_BE_SLOWER)
    gate = replace(gate, combos=(gate.combos[0], doubtful, gate.combos[2]))
    record = replace(record, results=replace(record.results, screening=gate))
    assert write_feedback(record)[0].startswith("lost    scan8 96x4000 uniform +0.2%")


def test_the_confirmation_speaks_before_the_screening() -> None:
    record = trial(kernel(1), FIRST, gains=(5.0, 5.0, 5.0))
    both = replace(record.results, confirmation=confirmed((-1.0, 5.0, 5.0)))
    record = replace(record, results=both)
    assert "-1.0% [-1.4 -0.6]" in write_feedback(record)[0]


def test_code_size_is_compared_with_the_champion_s() -> None:
    mine = trial(kernel(1), FIRST, gains=None, results=sized(6312))
    theirs = trial(kernel(2), FIRST, Verdict.KEEP, results=sized(4870))
    assert write_feedback(mine, theirs) == ["code    6,312 bytes, champion 4,870"]
    assert write_feedback(mine) == ["code    6,312 bytes"]


def test_a_prediction_is_answered() -> None:
    guessed = trial(kernel(1), FIRST, gains=(-2.0, -2.0, -2.0), results=Results(predicted=5.0))
    assert write_feedback(guessed)[-1] == "guess   +5.0% predicted, -2.0% found"
    unmeasured = trial(kernel(1), FIRST, Verdict.REJECTED, None, results=Results(predicted=5.0))
    assert write_feedback(unmeasured) == ["guess   +5.0% predicted, nothing was measured"]
    void = replace(unmeasured.results, screening=screened((0.0, 0.0, 0.0), pairs=0))
    unmeasured = replace(unmeasured, results=void)
    assert write_feedback(unmeasured) == ["guess   +5.0% predicted, nothing was measured"]


def test_feedback_can_only_see_the_row() -> None:
    """No seed and no input reaches it: the function is given rows and nothing else."""
    record = trial(kernel(1), FIRST, burnt_seeds=(123456789,), epoch="secret-epoch")
    text = "\n".join(write_feedback(record))
    assert "123456789" not in text and "secret-epoch" not in text
    assert set(inspect.signature(write_feedback).parameters) == {"record", "champion"}


def test_the_ledger_s_history_teaches(tmp_path: Path) -> None:
    campaign = create_campaign(checkout(tmp_path), TARGET, FIRST, origin="upstream")
    one = kernel(1)
    campaign.record_trial(trial(one, FIRST, Verdict.KEEP, (9.0, 9.0, 9.0), results=sized(900)), one)
    for number in (2, 3, 4):
        last = trial(kernel(number), one, results=sized(950))
        campaign.record_trial(last, kernel(number))
    with Ledger.open(tmp_path) as ledger:
        taught = collect_briefing(ledger, last, campaign.name)
        assert collect_briefing(ledger, last, None)["hints"] == []
    assert taught["hints"][0].startswith("refine: 3 trials without a keep")
    assert "code    950 bytes, champion 900" in taught["feedback"]
    assert "\nhint    refine: " in render_briefing(taught)
    assert render_briefing({"feedback": [], "hints": []}) == ""
