"""Counting a calibration: exact bounds, a mean that stopping does not bend, tables and back."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from lance_autoresearch.calibration.scores import (
    HEAD,
    CalibrationTrial,
    Score,
    format_cells,
    format_tsv,
    parse_about,
    parse_tsv,
    score_trials,
)
from lance_autoresearch.errors import UsageError


def shot(
    verdict: str = "revert", kind: str = "aa", target: str = "pq-l2", **more: object
) -> CalibrationTrial:
    fields = {"pairs": 7, "gain": 0.1, "seconds": 2.5, "blob": "ab" * 32, "reason": "slower"}
    return CalibrationTrial(target, kind, verdict, **(fields | more))  # type: ignore[arg-type]


def test_shares_are_clopper_pearson_of_the_decided() -> None:
    score = Score("pq-l2", "aa", (*[shot()] * 95, *[shot("keep")] * 3, *[shot("inconclusive")] * 9))
    wanted = scipy_stats.binomtest(3, 98).proportion_ci(0.99, method="exact")
    assert score.compute_share("keep") == pytest.approx((wanted.low, wanted.high), rel=1e-6)
    assert (score.trials, score.count_verdict("keep"), score.count_verdict("inconclusive")) == (
        107,
        3,
        9,
    )


def test_nothing_decided_says_nothing() -> None:
    score = Score("pq-l2", "aa", (shot("inconclusive", pairs=0),))
    assert score.compute_share("keep") == (0.0, 1.0)
    assert score.bias is None
    assert format_cells(score)[-1] == ""


def test_stopping_early_does_not_bend_the_mean() -> None:
    """Trials that stop when they look good: the mean over trials lies, that over pairs not."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(4000):
        values = rng.normal(0.0, 1.0, 24)
        sums = np.cumsum(values)
        n = next((i + 1 for i in range(3, 24) if sums[i] > 3.0), 24)
        found.append(shot(pairs=n, gain=float(sums[n - 1] / n)))
    bias = Score("pq-l2", "aa", tuple(found)).bias
    assert bias is not None
    assert bias.low < 0.0 < bias.high
    assert bias.high - bias.low < 0.1
    assert np.mean([s.gain for s in found]) > 0.1


def test_the_interval_covers_at_its_level() -> None:
    rng = np.random.default_rng(6)
    hits = 0
    for _ in range(600):
        shots = []
        for _ in range(40):
            n = int(rng.integers(6, 24))
            shots.append(shot(pairs=n, gain=float(rng.normal(0.2, 1 / n**0.5))))
        bias = Score("t", "aa", tuple(shots)).bias
        assert bias is not None
        hits += bias.low <= 0.2 <= bias.high
    assert scipy_stats.binomtest(hits, 600, 0.99).pvalue > 1e-4


def test_scores_are_by_kind_then_target_with_a_line_over_all() -> None:
    shots = [
        shot(kind="delay 1.5", target="fsst"),
        shot(kind="delay 0.5"),
        shot(kind="aa +load conductor"),
        shot(kind="aa", target="fsst"),
        shot(kind="aa"),
    ]
    lines = [(s.kind, s.target, s.trials) for s in score_trials(shots)]
    assert lines == [
        ("aa", "fsst", 1), ("aa", "pq-l2", 1), ("aa", "all", 2),
        ("delay 0.5", "pq-l2", 1), ("delay 1.5", "fsst", 1),
        ("aa +load conductor", "pq-l2", 1),
    ]  # fmt: skip
    assert all(len(format_cells(s)) == len(HEAD) for s in score_trials(shots))


def test_the_guard_is_counted_at_both_stages() -> None:
    reasons = ("guard: scan8 -4.1%", "not confirmed: guard: scan8 -5.0% (slower)", "slower")
    assert Score("t", "regress 5", tuple(shot(reason=r) for r in reasons)).guarded == 2


def test_a_table_reads_back_and_a_reason_cannot_break_it() -> None:
    shots = [shot(gain=-0.123456789), shot("keep", reason="a\tb\nc", blob="", kind="delay 1.5")]
    again = parse_tsv(format_tsv(shots))
    assert again[0] == shots[0]
    assert again[1].reason == "a b c"


def test_a_table_may_say_where_and_when_it_was_made() -> None:
    reported = format_tsv([shot()], "EPYC, 2 cores;\n2026-11-30")
    assert parse_about(reported) == "EPYC, 2 cores; 2026-11-30"
    assert parse_tsv(reported) == [shot()]
    assert parse_about(format_tsv([shot()])) == ""
    with pytest.raises(UsageError, match="line 2"):
        parse_tsv("# note\na\tb\n")


@pytest.mark.parametrize(
    ("text", "word"),
    [("", "line 1"), ("a\tb\n", "line 1"), (format_tsv([shot()]) + "x\ty\n", "line 3"),
     (format_tsv([shot()]).replace("\t7\t", "\tseven\t"), "line 2")],
)  # fmt: skip
def test_another_table_is_refused(text: str, word: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_tsv(text)
    assert caught.value.where == word
