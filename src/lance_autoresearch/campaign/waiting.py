"""What follows from a turn that failed: wait and ask again, or end the loop. Pure.

    plan_next(failure, streaks, delays, now) -> Wait(seconds, why, until) or GiveUp(why)

    kind of failure                next step
    limit that names its end       wait until then and a minute
    limit, overloaded, network     wait 1 min, doubled each time up to 15 min; 30 in a row end
    unknown                        the same; 6 in a row end (about half an hour)
    crashed                        wait 10 s, doubled each time; counts as a failure
    nonsense, policy, no candidate ask again at once; --max-failures in a row end
    signed out, no credit, refused, unusable   end at once, with the command that fixes it
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from lance_autoresearch.agents import AgentFailed
from lance_autoresearch.agents.failure_table import ENDING, WAITED, FailureKind
from lance_autoresearch.agents.failures import find_reset_time
from lance_autoresearch.text.plain_text import strip_text

WORDS = {
    FailureKind.LIMIT: "a limit is reached",
    FailureKind.OVERLOADED: "the model's side is overloaded",
    FailureKind.NETWORK: "no connection",
    FailureKind.NO_CREDIT: "a limit of spending is reached",
    FailureKind.UNKNOWN: "an unknown failure",
    FailureKind.CRASHED: "it crashed",
}
"""Why the loop waits, in words."""
FARTHEST_S = 8 * 86_400.0
"""A limit that ends later than this (weekly ones take 7 days) names no end to wait for."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as the loop sees it. Another one makes hours pass in a test."""

    now: Callable[[], float] = time.time
    """Unix seconds."""
    sleep: Callable[[float], None] = time.sleep
    slice_s: float = 0.2
    """Longest sleep at once: so soon a wait ends at Ctrl-C or at a limit."""


@dataclass(frozen=True, slots=True)
class RetryDelays:
    """How long the loop waits before it asks again. Seconds."""

    failed: float = 2.0
    crashed: float = 10.0
    """Doubled each time up to `longest`."""
    busy: float = 60.0
    """Doubled each time..."""
    longest: float = 900.0
    """...up to this."""
    after_reset: float = 60.0
    """Added to the end that a limit names: it is rounded to minutes or hours."""
    tries: int = 30
    """Limits, overloads and lost networks in a row, then the loop ends: about seven hours."""
    unknown_tries: int = 6
    """Unknown failures in a row, then the loop ends: about half an hour."""
    machine: float = 5.0
    """Pause before a trial that the machine spoiled begins again; doubled each time."""
    machine_tries: int = 3
    """Trials in a row that the machine spoiled, then the loop ends."""
    noisy_tries: int = 8
    """The same for trials whose pairs were void: a busy machine. About an hour."""


@dataclass(slots=True)
class Streaks:
    """Failures in a row since the last candidate."""

    failures: int = 0
    """Turns without a candidate that count against --max-failures."""
    waits: int = 0
    """Limits, overloads, lost networks."""
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again later."""

    seconds: float
    why: str
    until: float
    """Unix seconds."""
    worth_a_line: bool = True


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End the loop."""

    why: str
    may_go_on: bool = True
    """`--resume` can go on with it once the cause is fixed."""


def plan_next(
    failure: AgentFailed, agent: str, streaks: Streaks, delays: RetryDelays, most: int, now: float
) -> Wait | GiveUp:
    """The next step after a failure, which is counted in `streaks`.

    Args:
        agent: its name.
        most: failures in a row that end the loop (--max-failures).
        now: unix seconds.
    """
    what = strip_text(failure.what, 300)
    ends = find_reset_time(failure.complaint, now)
    named = ends is not None and now < ends <= now + FARTHEST_S
    kind = failure.kind
    if kind in WAITED or (kind is FailureKind.NO_CREDIT and named):
        streaks.waits += 1
        if streaks.waits >= delays.tries:
            return GiveUp(f"{agent} could not be asked {streaks.waits} times in a row "
                          f"({WORDS[kind]}): {what}")
        if named:
            assert ends is not None
            return _make_wait(ends - now + delays.after_reset, kind, what, now)
        return _make_wait(_double(delays.busy, streaks.waits, delays), kind, what, now)
    if kind in ENDING:
        hint = f" (next: {failure.next})" if failure.next else ""
        return GiveUp(f"{agent} cannot go on: {what}{hint}")
    if kind is FailureKind.UNKNOWN:
        streaks.unknown += 1
        if streaks.unknown >= delays.unknown_tries:
            return GiveUp(f"{agent} failed {streaks.unknown} times in a row in a way that is not "
                          f"known; the last time: {what}")
        return _make_wait(_double(delays.busy, streaks.unknown, delays), kind, what, now)
    streaks.failures += 1
    if streaks.failures >= most:
        return GiveUp(f"{agent} brought no candidate in {streaks.failures} turns in a row; "
                      f"the last time: {what}", may_go_on=False)
    if kind is FailureKind.CRASHED and delays.crashed:
        return _make_wait(_double(delays.crashed, streaks.failures, delays), kind, what, now)
    return Wait(delays.failed, what, now + delays.failed, worth_a_line=False)


def describe_seconds(seconds: float) -> str:
    """`45 s`, `12 min`, `4 h 12 min`, `2 d 3 h`."""
    minutes = round(seconds / 60)
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"


def describe_moment(moment: float, now: float) -> str:
    """`14:05`, or `2026-12-03 14:05` on another day; this machine's zone."""
    there = datetime.fromtimestamp(moment, UTC).astimezone()
    here = datetime.fromtimestamp(now, UTC).astimezone()
    return there.strftime("%H:%M" if there.date() == here.date() else "%Y-%m-%d %H:%M")


def _double(first: float, count: int, delays: RetryDelays) -> float:
    return min(delays.longest, first * 2.0 ** (count - 1))


def _make_wait(seconds: float, kind: FailureKind, what: str, now: float) -> Wait:
    until = now + seconds
    why = (f"{WORDS[kind]}: {what}; asking again in {describe_seconds(seconds)}, at "
           f"{describe_moment(until, now)}")
    return Wait(seconds, why, until)
