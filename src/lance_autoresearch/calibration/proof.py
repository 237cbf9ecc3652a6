"""Does this target's harness judge rightly? What `lar check` proves, line by line.

    champion      equals Lance on every case, at every tier
    first kernel  builds, is admitted, equals Lance (it *is* Lance's code)
    cheats        every kernel of cheats/ is refused
    near misses   every kernel of honest/ is not refused
    identity      upstream's text as the candidate is not kept
    A/A           the champion against its copy is not kept; what a pair costs

Each line is a fact that was just established here, with its figure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lance_autoresearch.bench.rig import Rig
from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.judge.compare import times
from lance_autoresearch.judge.early_verdict import Ended
from lance_autoresearch.judge.trial import Evidence, Story, admit_and_build, check, run_trial
from lance_autoresearch.records import Comparison, Outcome, Verdict
from lance_autoresearch.rules import gate, stats
from lance_autoresearch.rules.confirmation import aa_bias

PAIR_LIMIT_S = 0.25
"""A target whose A/A pair takes longer makes every trial slow."""


@dataclass(frozen=True, slots=True)
class Line:
    """One established fact."""

    ok: bool
    what: str
    detail: str


def prove(rig: Rig, *, pairs: int) -> Iterator[Line]:
    """All lines for a target, one at a time.

    Args:
        pairs: of the A/A and identity nulls.
    """
    yield equal("champion", rig, rig.champion_text)
    yield from cheats(rig)
    yield from honest(rig)
    yield null("A/A: the champion against its copy", rig, rig.measure_aa(pairs))
    yield cost(rig)


def equal(what: str, rig: Rig, text: bytes) -> Line:
    """A kernel is admitted and equals Lance on every case."""
    found = Evidence()
    try:
        admit_and_build(rig, text, found)
        check(rig, found)
    except (RejectedKernel, Ended) as fault:
        return Line(False, f"{what} equals Lance", str(fault))
    tiers = ", ".join(rig.target.tiers)
    return Line(True, f"{what} equals Lance", f"{found.checked:,} calls compared ({tiers})")


def cheats(rig: Rig) -> Iterator[Line]:
    """Every committed cheat is refused: incorrect or rejected, never merely slow.

    A cheat that only confirmation can catch (defence R) may be reverted before it gets there.
    """
    for path in _kernels(rig, "cheats"):
        text = path.read_bytes()
        record = run_trial(rig, text, Story(path.stem, kind="cheat")).record
        refused = record.verdict in (Verdict.INCORRECT, Verdict.REJECTED)
        refused |= late(text) and record.verdict is Verdict.REVERT
        reason = record.reason.splitlines()[0]
        yield Line(refused, f"cheat {path.stem}", f"{record.verdict}: {reason}")


def late(text: bytes) -> bool:
    """Whether a cheat's first line says that confirmation is what stops it."""
    return text.split(b"\n", 1)[0].endswith((b"stopped by R", b"stopped by D"))


def honest(rig: Rig) -> Iterator[Line]:
    """Every odd but honest kernel gets through admission, build, audit and check."""
    for path in _kernels(rig, "honest"):
        line = equal(path.stem, rig, path.read_bytes())
        yield Line(line.ok, f"honest {path.stem} is not refused", line.detail)


def null(what: str, rig: Rig, comparison: Comparison) -> Line:
    """A comparison of a thing with itself is not kept."""
    floored = rig.comparison(comparison.pairs)
    result = gate.gate(floored, rig.policy)
    bias = aa_bias(comparison, rig.policy)
    detail = (
        f"{bias.gain:+.2f}% [{bias.low:+.2f} {bias.high:+.2f}] over {result.pairs} pairs, "
        f"SD {100 * floored.aa_sd[-1]:.2f}% a pair"
    )
    return Line(result.outcome is not Outcome.KEEP_CANDIDATE, f"{what} is not kept", detail)


def cost(rig: Rig) -> Line:
    """Seconds of one A/A pair: median of five."""
    spent = []
    with rig.measuring():
        for _ in range(5):
            pair = rig.pair(rig.champion.so, rig.champion.so, rig.epoch.timed)
            times(rig, pair)
            spent.append(pair.wall_ms / 1000)
    median = stats.median(spent)
    return Line(median <= PAIR_LIMIT_S, f"a pair takes at most {PAIR_LIMIT_S} s", f"{median:.3f} s")


def _kernels(rig: Rig, folder: str) -> list[Path]:
    return sorted((rig.root / "targets" / rig.target.name / folder).glob("*.rs"))
