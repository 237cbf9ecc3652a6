"""Every input counts: what a median hides is found, and an interrupt is no slow kernel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from totals_noise import NOISY, QUIET, SIZES, Host, Kernel, draw_inputs, play, same

from lance_autoresearch.errors import UsageError
from lance_autoresearch.ledger.totals_json import decode_totals_times, encode_totals_times
from lance_autoresearch.records import (
    PairTimes,
    ReasonKind,
    TotalsPair,
    TotalTimes,
    Void,
    VoidCause,
)
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.rules.totals import explain_totals, judge_totals, plan_repeat


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def one_in(count: int, factor: float, seed: int = 0) -> Kernel:
    """Slow on one input in `count`, wherever they lie."""
    dice = np.random.default_rng(seed).random((2, 4096)) < 1 / count
    return lambda op, _family, _size, i: factor if dice[op][i] else 0.7


def is_refused(kernel: Kernel, seed: int, host: Host = QUIET) -> bool:
    result = judge_totals(play(kernel, rng(seed), host), DEFAULT)
    assert result is not None
    return result.rejected


@pytest.mark.parametrize("host", [QUIET, NOISY], ids=["quiet", "noisy"])
def test_thirty_times_slower_on_one_call_in_200_is_refused(host: Host) -> None:
    """Two ops of 1,000 inputs; the median is 40 % faster. Row A7 is 31 times in one of 16."""
    assert sum(is_refused(one_in(200, 30.0, seed), seed, host) for seed in range(20)) == 20
    assert all(is_refused(one_in(16, 31.0, seed), seed, host) for seed in range(5))


@pytest.mark.parametrize("host", [QUIET, NOISY], ids=["quiet", "noisy"])
def test_an_honest_kernel_is_not_refused(host: Host) -> None:
    assert not any(is_refused(same, seed, host) for seed in range(25))
    assert not any(is_refused(lambda *_: 0.6, seed, host) for seed in range(10))


def test_one_slow_family_is_refused_and_named() -> None:
    times = play(lambda _o, family, *_: 1.5 if family == "drawn c" else 0.7, rng())
    result = judge_totals(times, DEFAULT)
    assert result is not None and result.rejected
    reason = explain_totals(result)
    assert reason is not None and reason.kind is ReasonKind.TOTAL_SLOWER
    assert reason.about in ("op0, drawn c", "op1, drawn c")
    assert {row.family for row in result.slow if row.family} == {"drawn c"}


def test_one_slow_size_class_is_refused_and_named() -> None:
    times = play(lambda _o, _f, size, _i: 1.5 if size == SIZES[2] else 0.7, rng())
    result = judge_totals(times, DEFAULT)
    assert result is not None
    assert {(row.op, row.size) for row in result.slow} == {("op0", SIZES[2]), ("op1", SIZES[2])}
    reason = explain_totals(result)
    assert reason is not None and reason.about == f"{result.slow[0].op}, {SIZES[2]}"


def test_a_longer_total_is_refused_though_most_inputs_gain() -> None:
    slow = lambda _o, _f, size, _i: 1.25 if size == SIZES[-1] else 0.5  # noqa: E731
    result = judge_totals(play(slow, rng()), DEFAULT)
    assert result is not None and result.rejected and all(row.high < 0 for row in result.ops)


def test_single_inputs_are_named_by_family_and_size_class_only() -> None:
    result = judge_totals(play(one_in(100, 30.0), rng()), DEFAULT)
    assert result is not None
    reason = explain_totals(result)
    assert reason is not None and reason.kind is ReasonKind.SLOW_INPUTS
    assert reason.about.count(", ") >= 2 and reason.total == 1 + result.repeats >= 3
    assert sum(row.inputs for row in result.slow if row.family and row.size) >= 5


def test_a_call_that_is_a_microsecond_longer_is_no_slow_call() -> None:
    """A call alone in its slice is cold; three times 300 ns is not judged."""
    result = judge_totals(play(lambda _o, _f, size, _i: 3.0 if size == SIZES[0] else 1.0, rng()),
                          DEFAULT)  # fmt: skip
    assert result is not None and not result.rejected


def test_noise_asks_for_more_pairs() -> None:
    wanted = {host: judge_totals(play(same, rng(), host), DEFAULT) for host in (QUIET, NOISY)}
    quiet, noisy = wanted[QUIET], wanted[NOISY]
    assert quiet is not None and noisy is not None
    assert quiet.wanted == DEFAULT.totals_repeats < noisy.wanted <= DEFAULT.totals_most_repeats


def test_nothing_is_proven_before_the_last_repeat() -> None:
    times = play(one_in(50, 30.0), rng())
    assert len(times.pairs) == 3
    short = replace(times, pairs=times.pairs[:2])
    result = judge_totals(short, DEFAULT)
    assert result is not None and not result.rejected and plan_repeat(short, DEFAULT) is not None
    void = replace(times.pairs[1].times, void=Void(VoidCause.CLOCK_JUMPED))
    broken = replace(times, pairs=(times.pairs[0], replace(times.pairs[1], times=void)))
    first = replace(times, pairs=times.pairs[:1])
    assert plan_repeat(broken, DEFAULT) == plan_repeat(first, DEFAULT)
    assert judge_totals(replace(times, pairs=()), DEFAULT) is None


def test_times_come_back_as_they_were() -> None:
    times = play(one_in(200, 30.0), rng())
    none: tuple[int, ...] = ()
    void = PairTimes((1, 1), (none, none), (none, none), (0, 0), Void(VoidCause.NEVER_BEGAN, "x"))
    times = replace(times, pairs=(TotalsPair((none, none), void), *times.pairs))
    assert decode_totals_times(encode_totals_times(times)) == times


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda d: d["pairs"][0].update(picks=[[0]]), "every op"),
        (lambda d: d["pairs"][0]["picks"].__setitem__(0, [1]), "sides differ"),
        (lambda d: d["ops"][0].update(inputs=[0]), "no such input"),
        (lambda d: d.pop("ops"), "times of distinct inputs"),
        (lambda d: d.update(ticks_per_ns=0), "ticks_per_ns"),
    ],
)
def test_times_that_contradict_themselves_are_refused(spoil: object, words: str) -> None:
    document = encode_totals_times(TotalTimes(draw_inputs(rng()), play(same, rng()).pairs, 2.4))
    document = {**document, "pairs": [
        {**p, "picks": [list(o) for o in p["picks"]]} for p in document["pairs"]]}  # fmt: skip
    spoil(document)  # type: ignore[operator]
    with pytest.raises(UsageError, match=words):
        decode_totals_times(document)
