"""The total time over distinct inputs: every input counts, not only the median one.

    list_suspects(first pair, ...)      what looks slow: single inputs, families, sizes, ops
    count_repeats(first pair, ...)      in how many other pairs it must be slow again
    keep_slow(suspects, pair, ...)      what is slow in one of those, too
    plan_repeat(times, policy)          which inputs the next pair must measure
    judge_totals(times, policy)         the same on recorded pairs: slow in all is the kernel

An input looks slow if the candidate takes `totals_slow_ratio` times as long. An interrupt does that
to one call in hundreds, on either side, but not to the same call in three process pairs. How often
the champion is slow by chance says how many pairs are needed.

The total of a group is a ratio of sums in which no call counts as more than `totals_slow_ratio`
times slower, so that noise with a long tail has no weight in it; calls slower than that are found
one by one. Its interval is that of a ratio estimator over the inputs (Cochran, Sampling Techniques,
1977, section 6.3), with as many degrees of freedom as inputs that carry the sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from lance_autoresearch.records import (
    InputClass,
    OpInputs,
    Reason,
    ReasonKind,
    SlowInputs,
    TotalsPair,
    TotalsResult,
    TotalsRow,
    TotalTimes,
)
from lance_autoresearch.rules import stats
from lance_autoresearch.rules.policy import Policy

FASTEST = 4.0
"""A call counts as at most this many times faster than the median one of its op."""


class SuspectKind(Enum):
    """What looks slow."""

    INPUT = 0
    FAMILY = 1
    SIZE = 2
    OP = 3


@dataclass(frozen=True, slots=True)
class Suspect:
    """Inputs of one op that looked slow, alone or together."""

    kind: SuspectKind
    op: int
    members: tuple[int, ...]
    """Numbers of its inputs."""


@dataclass(frozen=True, slots=True)
class _Sums:
    """The ratio of total times of a group, as a gain, natural logarithm."""

    gain: float
    error: float
    carry: float
    """How many equal inputs would carry the sum."""
    extra_ns: float
    """Mean time by which a call is longer."""
    inputs: int

    def compute_bounds(self, level: float) -> stats.Bounds:
        """The interval of the gain over the inputs."""
        return stats.compute_t_bounds(self.gain, self.error, self.carry - 1.0, level)


@dataclass(frozen=True, slots=True)
class _Nets:
    """Times of one op in one pair."""

    by_input: Mapping[int, tuple[float, float]]
    """Input -> its times on both sides, champion first, ns, the empty slice subtracted."""
    usual: float
    """Median of champion / candidate."""


def list_suspects(
    ops: Sequence[OpInputs], pair: TotalsPair, ticks_per_ns: float, policy: Policy
) -> tuple[Suspect, ...]:
    """All that looks slow in the pair over all inputs; single inputs first."""
    groups = _list_groups(ops, policy)
    level = _find_level(len(groups), policy)
    nets = [_read_nets(pair, o, ticks_per_ns) for o in range(len(ops))]
    single = [
        Suspect(SuspectKind.INPUT, o, (i,))
        for o, seen in enumerate(nets)
        for i, times in seen.by_input.items()
        if _is_call_slow(*times, policy)
    ]
    together = [g for g in groups if _is_group_slow(g, nets[g.op], level, policy)]
    return (*single, *together)


def count_repeats(
    suspects: Sequence[Suspect], pair: TotalsPair, ticks_per_ns: float, policy: Policy
) -> int:
    """In how many other pairs single inputs must be slow again.

    A call is slow by chance as often as the champion is, relative to its op's median ratio, but
    for real gains, which only raise the number.
    """
    single = sum(s.kind is SuspectKind.INPUT for s in suspects)
    struck = seen = 0
    for o in range(len(pair.picks)):
        nets = _read_nets(pair, o, ticks_per_ns)
        seen += len(nets.by_input)
        struck += sum(
            _is_call_slow(b * nets.usual, a, policy) for a, b in nets.by_input.values()
        )
    chance = max(struck, 1) / max(seen, 1)
    repeats = policy.totals_repeats
    while repeats < policy.totals_most_repeats and single * chance**repeats > policy.totals_false:
        repeats += 1
    return repeats


def keep_slow(
    suspects: Iterable[Suspect], ops: Sequence[OpInputs], pair: TotalsPair, ticks_per_ns: float,
    policy: Policy,
) -> tuple[Suspect, ...]:
    """The suspects that are slow in this pair, too; one that was not measured in it is not."""
    level = _find_level(len(_list_groups(ops, policy)), policy)
    nets = [_read_nets(pair, o, ticks_per_ns) for o in range(len(ops))]
    return tuple(s for s in suspects if _is_slow(s, nets[s.op], level, policy))


def select_picks(suspects: Iterable[Suspect], ops: int) -> tuple[tuple[int, ...], ...]:
    """The inputs of each op that another pair must measure."""
    wanted: list[set[int]] = [set() for _ in range(ops)]
    for suspect in suspects:
        wanted[suspect.op].update(suspect.members)
    return tuple(tuple(sorted(own)) for own in wanted)


def plan_repeat(times: TotalTimes, policy: Policy) -> tuple[tuple[int, ...], ...] | None:
    """The inputs of each op that the next pair must measure; None: nothing is left to ask."""
    seen = _follow_suspects(times, policy)
    if seen is None or not seen.left or seen.repeats >= seen.wanted:
        return None
    return select_picks(seen.left, len(times.ops))


def judge_totals(times: TotalTimes, policy: Policy) -> TotalsResult | None:
    """The decision on recorded pairs; None if no pair counts."""
    seen = _follow_suspects(times, policy)
    if seen is None:
        return None
    proven = seen.left if seen.repeats >= seen.wanted else ()
    return TotalsResult(
        ops=_build_rows(times.ops, seen.first, times.ticks_per_ns, policy),
        suspected=seen.suspected,
        repeats=seen.repeats,
        wanted=seen.wanted,
        slow=_describe_slow(proven, times.ops, seen.last, times.ticks_per_ns),
    )


@dataclass(frozen=True, slots=True)
class _Followed:
    """Suspects of the first pair, through the pairs that followed."""

    first: TotalsPair
    last: TotalsPair
    suspected: int
    wanted: int
    repeats: int
    left: tuple[Suspect, ...]


def _follow_suspects(times: TotalTimes, policy: Policy) -> _Followed | None:
    valid = [pair for pair in times.pairs if pair.times.void is None]
    if not valid:
        return None
    first = valid[0]
    suspects = list_suspects(times.ops, first, times.ticks_per_ns, policy)
    wanted = count_repeats(suspects, first, times.ticks_per_ns, policy) if suspects else 0
    repeats, left = valid[1 : 1 + wanted], suspects
    for pair in repeats:
        left = keep_slow(left, times.ops, pair, times.ticks_per_ns, policy)
    return _Followed(first, [first, *repeats][-1], len(suspects), wanted, len(repeats), left)


def explain_totals(result: TotalsResult) -> Reason | None:
    """Why the distinct inputs forbid the keep; None: they do not."""
    if not result.slow:
        return None
    worst = result.slow[0]
    parts = [worst.op, worst.family, worst.size]
    single = bool(worst.family and worst.size)
    return Reason(
        ReasonKind.SLOW_INPUTS if single else ReasonKind.TOTAL_SLOWER,
        ", ".join(part for part in parts if part),
        worst.gain, count=worst.inputs, total=1 + result.repeats, at_confirmation=True,
    )  # fmt: skip


# --- groups ---------------------------------------------------------------------------------


def _list_groups(ops: Sequence[OpInputs], policy: Policy) -> list[Suspect]:
    """Every family, size class and op with enough inputs."""
    found = []
    for o, own in enumerate(ops):
        for kind, read in ((SuspectKind.FAMILY, _read_family), (SuspectKind.SIZE, _read_size)):
            found += [
                Suspect(kind, o, members)
                for members in _gather(own.inputs, read)
                if len(members) >= policy.totals_group_least
            ]
        found.append(Suspect(SuspectKind.OP, o, tuple(range(len(own.inputs)))))
    return found


def _read_family(one: InputClass) -> str:
    return one.family


def _read_size(one: InputClass) -> str:
    return one.size


def _gather(
    inputs: Sequence[InputClass], read: Callable[[InputClass], str]
) -> list[tuple[int, ...]]:
    groups: dict[str, list[int]] = {}
    for i, one in enumerate(inputs):
        groups.setdefault(read(one), []).append(i)
    return [tuple(members) for members in groups.values()]


def _find_level(groups: int, policy: Policy) -> float:
    return 1.0 - (1.0 - policy.totals_level) / max(1, groups)


def _is_slow(suspect: Suspect, nets: _Nets, level: float, policy: Policy) -> bool:
    if suspect.kind is not SuspectKind.INPUT:
        return _is_group_slow(suspect, nets, level, policy)
    times = nets.by_input.get(suspect.members[0])
    return times is not None and _is_call_slow(*times, policy)


def _is_call_slow(champion: float, candidate: float, policy: Policy) -> bool:
    """Whether one call takes so much longer; times in ns."""
    longer = candidate - champion > policy.totals_slow_ns
    return longer and candidate >= policy.totals_slow_ratio * champion


def _is_group_slow(group: Suspect, nets: _Nets, level: float, policy: Policy) -> bool:
    whole = group.kind is SuspectKind.OP
    slack = policy.totals_slack if whole else policy.totals_group_slack
    sums = _sum_group(group.members, nets, policy)
    if sums is None or (not whole and sums.inputs < policy.totals_group_least):
        return False
    if sums.gain >= -slack or not (whole or sums.extra_ns > policy.totals_slow_ns):
        return False
    return sums.compute_bounds(level).high < -slack


def _sum_group(members: Sequence[int], nets: _Nets, policy: Policy) -> _Sums | None:
    """The ratio of sums over the members that were measured; None for fewer than two."""
    own = [nets.by_input[i] for i in members if i in nets.by_input]
    if len(own) < 2:
        return None
    most = FASTEST * max(1.0, nets.usual)
    champion = [min(a, b * most) for a, b in own]
    candidate = [min(b, a * policy.totals_slow_ratio) for a, b in own]
    total, n = math.fsum(champion), len(champion)
    ratio = math.fsum(candidate) / total
    rest = math.fsum((b - ratio * a) ** 2 for a, b in zip(champion, candidate, strict=True))
    return _Sums(
        gain=-stats.ln(ratio),
        error=math.sqrt(rest * n / (n - 1)) / (ratio * total),
        carry=total * total / math.fsum(a * a for a in champion),
        extra_ns=(ratio - 1.0) * total / n,
        inputs=n,
    )


def _read_nets(pair: TotalsPair, op: int, ticks_per_ns: float) -> _Nets:
    """Times of an op's inputs without the empty slice, at least one tick."""
    empty = pair.times.empty
    rows = zip(pair.picks[op], pair.times.champion[op], pair.times.candidate[op], strict=True)
    nets = {
        i: (max(a - empty[0], 1) / ticks_per_ns, max(b - empty[1], 1) / ticks_per_ns)
        for i, a, b in rows
    }
    usual = stats.median([a / b for a, b in nets.values()]) if nets else 1.0
    return _Nets(nets, usual)


# --- what is shown --------------------------------------------------------------------------


def _build_rows(
    ops: Sequence[OpInputs], pair: TotalsPair, ticks_per_ns: float, policy: Policy
) -> tuple[TotalsRow, ...]:
    level = _find_level(len(_list_groups(ops, policy)), policy)
    rows = []
    for o, own in enumerate(ops):
        nets = _read_nets(pair, o, ticks_per_ns)
        sums = _sum_group(range(len(own.inputs)), nets, policy)
        if sums is not None:
            ends = sums.compute_bounds(level)
            low, high = (stats.convert_to_percent(end) for end in ends)
            gain = stats.convert_to_percent(sums.gain)
            rows.append(TotalsRow(own.op, sums.inputs, gain, low, high))
    return tuple(rows)


def _describe_slow(
    suspects: Sequence[Suspect], ops: Sequence[OpInputs], pair: TotalsPair, ticks_per_ns: float
) -> tuple[SlowInputs, ...]:
    """Single inputs by family and size class, the most first; then groups."""
    classes: dict[tuple[int, str, str], list[int]] = {}
    for suspect in suspects:
        if suspect.kind is SuspectKind.INPUT:
            one = ops[suspect.op].inputs[suspect.members[0]]
            key = (suspect.op, one.family, one.size)
            classes.setdefault(key, []).extend(suspect.members)
    named = [(*key, members) for key, members in classes.items()]
    named.sort(key=lambda row: -len(row[3]))
    for suspect in suspects:
        one = ops[suspect.op].inputs[suspect.members[0]]
        if suspect.kind is not SuspectKind.INPUT:
            family = one.family if suspect.kind is SuspectKind.FAMILY else ""
            size = one.size if suspect.kind is SuspectKind.SIZE else ""
            named.append((suspect.op, family, size, list(suspect.members)))
    found = []
    for o, family, size, members in named:
        nets = _read_nets(pair, o, ticks_per_ns)
        own = [nets.by_input[i] for i in members if i in nets.by_input]
        ratio = math.fsum(a for a, _ in own) / math.fsum(b for _, b in own)
        gain = 100.0 * (ratio - 1.0)
        found.append(SlowInputs(ops[o].op, family, size, len(own), gain))
    return tuple(found)
