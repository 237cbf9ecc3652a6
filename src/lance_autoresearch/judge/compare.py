"""The two measured stages of a trial: screening against the champion, and confirmation.

    screen(rig, candidate)            pairs on the epoch's pools until the gate decides
    confirm(rig, candidate, screened) fresh pools, second sizes, fresh layouts, 16 + 4 pairs; then
                                      what defences D and S want to see

Both return what they measured, or end the trial by raising `Ended` when an output was wrong.
All deciding is done by the pure functions `gate.gate` and `confirmation.confirm`; here pairs
are run and collected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lance_autoresearch.bench.conductor import PairResult
from lance_autoresearch.bench.pools import Pool, output_bytes
from lance_autoresearch.bench.rig import Rig
from lance_autoresearch.build.builder import Built
from lance_autoresearch.errors import MachineError
from lance_autoresearch.judge.early_verdict import Ended
from lance_autoresearch.records import Comparison, GateResult, Outcome, PairTimes, Verdict
from lance_autoresearch.rules.confirmation import (
    ConfirmResult,
    floor_flags,
    slowed_opponent,
    unseen,
    worth_more_pairs,
)
from lance_autoresearch.rules.confirmation import confirm as confirm_rule
from lance_autoresearch.rules.gate import gate
from lance_autoresearch.rules.policy import DEFAULT, Policy
from lance_autoresearch.text.fault_text import fault_text

LICENCE_BLOCK_MS = 5
SLOW_ARM = "arm: the "
"""How the conductor begins to say that a pair is void since a side got ready slowly."""
MAX_SLOW_ARMS = 2
"""So many more pairs of the candidate than of the champion may be void for that."""


@dataclass(frozen=True, slots=True)
class Screened:
    """What screening saw: raw pairs and the gate's last word."""

    comparison: Comparison
    result: GateResult
    policy: Policy = DEFAULT
    before: int = 0
    """Pairs of an earlier trial that this one continued."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What confirmation saw; `seed` made its pools and is burnt."""

    comparison: Comparison
    licence: Comparison
    result: ConfirmResult
    seed: int
    unseen: Comparison | None = None
    """Defence D: pairs in which no process met an input twice; None: not run."""
    opponent: Comparison | None = None
    """Defence S: the champion behind its own code and behind the candidate; None: not run."""
    ended: Ended | None = None
    """What a defence found against the candidate, whatever `result` says."""

    @property
    def defences(self) -> tuple[Comparison, ...]:
        """What D and S measured, in that order, as far as they were run."""
        return tuple(seen for seen in (self.unseen, self.opponent) if seen is not None)


def screen(rig: Rig, candidate: Built, before: Sequence[PairTimes] = ()) -> Screened:
    """Run pairs until the gate decides.

    Args:
        before: valid pairs of an undecided earlier trial of the same kernel, continued here.

    Raises:
        Ended: the kernel's outputs were wrong in a timed slice.
    """
    pairs = list(before)
    fitted = rig.fitted
    policy = replace(fitted, max_pairs=fitted.max_pairs + len(before))
    with rig.measuring():
        while True:
            pairs.append(
                times(rig, rig.pair(rig.champion.so, candidate.so, rig.epoch.timed))
            )
            _refuse_slow_arming(pairs)
            comparison = rig.comparison(pairs)
            result = gate(comparison, policy)
            rig.phases.say(f"pair {len(pairs)}  {_overall(result)}")
            if result.outcome is not Outcome.CONTINUE:
                return Screened(comparison, result, fitted, len(before))


def confirm(rig: Rig, candidate: Built, screened: Screened) -> Confirmed:
    """Measure a would-be keep again on everything fresh.

    Raises:
        Ended: wrong outputs on the fresh pools.
    """
    policy = screened.policy
    with rig.phases("fresh"):
        pools, seed = rig.fresh_pools()
        layouts = rig.layouts(candidate, policy.confirm_pairs + policy.licence_pairs)
    with rig.phases("confirm"), rig.measuring():
        short = [_pair(rig, sides, pools) for sides in layouts[: policy.confirm_pairs]]
        rounds = _long_rounds(rig, screened.result)
        long = [_long_pair(rig, sides, pools, rounds) for sides in layouts[policy.confirm_pairs :]]
    first = _confirmed(rig, short, long, screened, seed)
    if first.result.verdict is Verdict.KEEP or worth_more_pairs(first.result, policy):
        first = _defended(rig, first, layouts, pools)
    if first.ended is not None or not worth_more_pairs(first.result, policy):
        return first
    rig.phases.say("a combo may be slower: as many pairs again")
    with rig.phases("fresh"):
        layouts = rig.layouts(candidate, policy.confirm_pairs)
    with rig.phases("confirm"), rig.measuring():
        short += [_pair(rig, sides, pools) for sides in layouts]
    more = _confirmed(rig, short, long, screened, seed)
    return replace(more, unseen=first.unseen, opponent=first.opponent)


def _defended(
    rig: Rig, first: Confirmed, layouts: Sequence[tuple[Path, Path]], pools: Sequence[Pool]
) -> Confirmed:
    """The confirmation with what D and S saw; `ended` where they or the floor speak against it."""
    claim, gain = first.result.claim, first.result.claimed.gain
    try:
        refuse_the_impossible(rig, first.comparison, pools)
        with rig.phases("fresh"):
            strange = rig.strange_pools()
        seen = unseen_pairs(rig, layouts[0], strange)
        first = replace(first, unseen=seen)
        refuse_memory(seen, claim, gain, rig.policy)
        behind = opponent_pairs(rig, layouts, pools)
        first = replace(first, opponent=behind)
        refuse_slowing(behind, claim, gain, rig.policy)
    except Ended as end:
        return replace(first, ended=end)
    return first


def unseen_pairs(rig: Rig, sides: tuple[Path, Path], pools: Sequence[Pool]) -> Comparison:
    """Pairs of champion and candidate in which no process meets an input twice.

    Raises:
        Ended: wrong outputs; or too few pairs were valid.
    """
    rounds, calls = rig.policy.unseen_rounds, [1] * len(pools)
    with rig.phases("confirm"), rig.measuring():
        pairs = [
            times(rig, rig.pair(*sides, pools, rounds=rounds, calls=calls))
            for _ in range(rig.policy.unseen_pairs)
        ]
    _half_valid(pairs, "short pairs")
    return rig.comparison(pairs, floored=False)


def refuse_memory(
    seen: Comparison, claim: str, claimed: float, policy: Policy = DEFAULT
) -> None:
    """End a trial whose gain is there only for inputs and sizes that it knows.

    Args:
        seen: what `unseen_pairs` measured.
        claimed: gain of the claim as confirmed, %.

    Raises:
        Ended: rejected.
    """
    found = unseen(seen, claim, claimed, policy)
    if found.rejected:
        raise Ended(
            Verdict.REJECTED,
            f"{claim} {claimed:+.1f}% where inputs repeat, {found.gain:+.1f}% (at most "
            f"{found.high:+.1f}%) where its process meets each for the first time, at sizes near "
            "the known ones: an answer must be computed in every call, not found in memory left "
            "by an earlier one, and at every size",
        )


def _half_valid(pairs: Sequence[PairTimes], what: str) -> None:
    """Raises Ended, inconclusive, where more than half of the pairs are void."""
    valid = sum(pair.void is None for pair in pairs)
    if 2 * valid < len(pairs):
        raise Ended(Verdict.INCONCLUSIVE, f"not confirmed: {valid} of {len(pairs)} {what} valid")


def opponent_pairs(
    rig: Rig, layouts: Sequence[tuple[Path, Path]], pools: Sequence[Pool]
) -> Comparison:
    """Pairs of the champion behind another layout of it, and behind one of the candidate.

    Args:
        layouts: champion and candidate in fresh layouts; at least two.

    Raises:
        Ended: wrong outputs; or too few pairs were valid.
    """
    turns = [
        (layouts[i % len(layouts)], layouts[i - 1][0]) for i in range(rig.policy.opponent_pairs)
    ]
    with rig.phases("confirm"), rig.measuring():
        pairs = [times(rig, rig.pair(*sides, pools, opponent=other)) for sides, other in turns]
    _half_valid(pairs, "pairs for S")
    return rig.comparison(pairs, floored=False)


def refuse_slowing(
    seen: Comparison, claim: str, claimed: float, policy: Policy = DEFAULT
) -> None:
    """End a trial whose candidate makes the champion slower that runs after it.

    Args:
        seen: what `opponent_pairs` measured.
        claimed: gain of the claim as confirmed, %.

    Raises:
        Ended: rejected.
    """
    found = slowed_opponent(seen, claim, claimed, policy)
    if found.rejected:
        raise Ended(
            Verdict.REJECTED,
            f"{claim} {claimed:+.1f}%, but the champion itself is {found.slowdown:.1f}% (at least "
            f"{found.low:.1f}%) slower behind this kernel than behind other code: leave caches "
            "and other state of the machine as you would find them in production",
        )


def refuse_the_impossible(rig: Rig, comparison: Comparison, pools: Sequence[Pool]) -> None:
    """End a trial that was faster than its outputs can be written. Raises Ended: rejected."""
    written = zip(comparison.combos, map(output_bytes, (p.want for p in pools)), strict=True)
    floors = {combo.label: size / rig.policy.store_bytes_per_ns for combo, size in written}
    for flag in floor_flags(comparison, floors):
        raise Ended(
            Verdict.REJECTED,
            f"{flag.combo}: {flag.candidate_ns:.1f} ns a call, and its outputs alone cannot be "
            f"written in {flag.floor_ns:.1f} ns: all work belongs inside the call",
        )


def _confirmed(
    rig: Rig, short: Sequence[PairTimes], long: Sequence[PairTimes], screened: Screened, seed: int
) -> Confirmed:
    comparison, licence = rig.comparison(short), rig.comparison(long)
    result = confirm_rule(comparison, licence, screened.result.claim, screened.policy)
    return Confirmed(comparison, licence, result, seed)


def _refuse_slow_arming(pairs: Sequence[PairTimes]) -> None:
    """A candidate that again and again is slow to get ready works before the clock starts."""
    slow, champion = (
        sum((pair.void or "").startswith(SLOW_ARM + side) for pair in pairs)
        for side in ("candidate", "champion")
    )
    if slow > MAX_SLOW_ARMS + champion:
        raise Ended(
            Verdict.REJECTED,
            f"the kernel's process was slow to get ready in {slow} pairs: work done before the "
            "clock starts does not count; do it inside the call",
        )


def times(rig: Rig, pair: PairResult) -> PairTimes:
    """The pair's times. Raises Ended where the candidate was caught."""
    if pair.fault is not None and pair.fault.side == "champion":
        raise MachineError(
            f"the champion itself failed while it was measured: {pair.fault.kind}, "
            f"{pair.fault.differs} of {pair.fault.total} values",
            where=pair.fault.combo,
            next=f"./lar check {rig.target.name}",
        )
    if pair.void is not None and pair.void.startswith("foreign"):
        rig.wait_for_quiet()
    if pair.fault is not None:
        raise Ended.by_fault(fault_text(rig.target, pair.fault), pair.fault)
    return rig.times(pair)


def _pair(rig: Rig, sides: tuple[Path, Path], pools: Sequence[Pool]) -> PairTimes:
    return times(rig, rig.pair(*sides, pools))


def _long_rounds(rig: Rig, result: GateResult) -> int:
    """Half the rounds where a combo is over twice as fast: the slow side's blocks last longer."""
    quick = any(row.gain > 100.0 for row in result.combos)
    return rig.policy.licence_rounds // 2 if quick else rig.policy.licence_rounds


def _long_pair(
    rig: Rig, sides: tuple[Path, Path], pools: Sequence[Pool], rounds: int
) -> PairTimes:
    return times(rig, rig.pair(*sides, pools, rounds=rounds, block_ms=LICENCE_BLOCK_MS))


def _overall(result: GateResult) -> str:
    overall = result.components[0]
    return f"gain {overall.gain:+.2f}%  e={result.e:.3g} (need {result.need:.3g})"
