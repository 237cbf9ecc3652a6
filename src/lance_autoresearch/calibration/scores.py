"""The results of a calibration's trials: counts with exact bounds, cost, bias.

    shots = parse_tsv(text)                   # one line a trial
    for score in score_trials(shots):         # one a kind and target
        score.count("keep"), score.share("keep")       # 0, (0.0, 0.0029): 99 %, Clopper-Pearson
        score.bias                                     # Estimate of the null's mean gain, %

The truth of each kind is known (`aa`: nothing changed; `delay 1.5`: 1.5 % faster), so a count
of keeps is a rate of errors or of detections.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from lance_autoresearch.errors import UsageError
from lance_autoresearch.ledger.results_json import decode_reason
from lance_autoresearch.records import ReasonKind, TrialKind
from lance_autoresearch.records.kind import EFFECTS, NULLS
from lance_autoresearch.rules import stats

LEVEL = 0.99
GUARDED = (ReasonKind.COMBO_SLOWER, ReasonKind.COMBO_MAY_BE_SLOWER)
"""Reasons of the guard of single combos."""
FAULTY = ("incorrect", "rejected")
COMMENT = "# "
"""Begins the line of a table that says on which machine, and when, it was made."""


@dataclass(frozen=True, slots=True)
class CalibrationTrial:
    """One trial of a calibration, as its line in a table of raw results."""

    target: str
    kind: str
    """`aa`, `padding`, `delay 1.5`, `regress 5`, each also `... +load conductor`."""
    verdict: str
    pairs: int
    """Valid pairs of screening; 0: none was run."""
    gain: float
    """Screening's estimate over all combos, %."""
    seconds: float
    """All phases but those that only the first trial of a session has."""
    blob: str
    """Digest of the raw pairs in the ledger; empty: none."""
    reason: str
    """Kind of the reason; a sentence in tables made before reasons were typed."""


@dataclass(frozen=True, slots=True)
class Bias:
    """Mean gain of a kind in %, with its 99 % interval."""

    gain: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Score:
    """All trials of one kind on one target, or on all."""

    target: str
    kind: str
    shots: tuple[CalibrationTrial, ...]

    @property
    def trials(self) -> int:
        """How many were run."""
        return len(self.shots)

    def count_verdict(self, *verdicts: str) -> int:
        """How many ended so."""
        return sum(shot.verdict in verdicts for shot in self.shots)

    def compute_share(self, *verdicts: str) -> stats.Bounds:
        """Exact 99 % interval of a verdict's share among trials that reached a verdict."""
        decided = self.trials - self.count_verdict("inconclusive")
        if not decided:
            return stats.Bounds(0.0, 1.0)
        return stats.compute_exact_bounds(self.count_verdict(*verdicts), decided, LEVEL)

    @property
    def guarded(self) -> int:
        """How many the guard of single combos ended."""
        kinds = (decode_reason(shot.reason).kind for shot in self.shots)
        return sum(kind in GUARDED for kind in kinds)

    @property
    def pairs(self) -> float:
        """Mean pairs of screening."""
        counts = [float(shot.pairs) for shot in self.shots if shot.pairs]
        return stats.mean(counts) if counts else 0.0

    @property
    def seconds(self) -> float:
        """Median seconds of a trial."""
        return stats.median([shot.seconds for shot in self.shots]) if self.shots else 0.0

    @property
    def bias(self) -> Bias | None:
        """Mean gain, every *pair* with equal weight; None for fewer than three trials.

        The pairs decide when a trial stops, which biases the mean over trials; the sum over all
        pairs divided by their number is not biased (Wald's identity). The interval is that of
        a ratio estimate (Cochran, Sampling Techniques, 6.4), with t for the trials' number.
        """
        shots = [shot for shot in self.shots if shot.pairs]
        if len(shots) < 3:
            return None
        total = sum(shot.pairs for shot in shots)
        centre = math.fsum(shot.gain * shot.pairs for shot in shots) / total
        rest = math.fsum((shot.pairs * (shot.gain - centre)) ** 2 for shot in shots)
        error = math.sqrt(rest * len(shots) / (len(shots) - 1)) / total
        bounds = stats.compute_t_bounds(centre, error, len(shots) - 1, LEVEL)
        return Bias(centre, bounds.low, bounds.high)


HEAD = ("kind", "target", "trials", "kept", "of those decided", "reverted", "by guard",
        "inconclusive", "faulty", "pairs", "seconds", "mean gain, 99 %")  # fmt: skip


def format_cells(score: Score) -> tuple[str, ...]:
    """One line of the table under `HEAD`."""
    low, high = (100 * bound for bound in score.compute_share("keep"))
    bias = score.bias
    return (
        score.kind,
        score.target,
        str(score.trials),
        str(score.count_verdict("keep")),
        f"{low:.2f} to {high:.2f} %",
        str(score.count_verdict("revert")),
        str(score.guarded),
        str(score.count_verdict("inconclusive")),
        str(score.count_verdict(*FAULTY)),
        f"{score.pairs:.1f}",
        f"{score.seconds:.1f}",
        "" if bias is None else f"{bias.gain:+.3f} [{bias.low:+.3f} {bias.high:+.3f}]",
    )


def score_trials(shots: Iterable[CalibrationTrial]) -> list[Score]:
    """A score for each kind and target; if a kind has several targets, one over all."""
    groups: dict[str, dict[str, list[CalibrationTrial]]] = {}
    for shot in shots:
        groups.setdefault(shot.kind, {}).setdefault(shot.target, []).append(shot)
    out = []
    for kind, targets in sorted(groups.items(), key=lambda item: _rank_kind(item[0])):
        out += [Score(name, kind, tuple(found)) for name, found in sorted(targets.items())]
        if len(targets) > 1:
            out.append(Score("all", kind, tuple(s for found in targets.values() for s in found)))
    return out


def _rank_kind(kind: str) -> tuple[bool, int, float, str]:
    """Nulls first, then effects by size; those under load last."""
    found = TrialKind.parse(kind)
    order = (*NULLS, *EFFECTS)
    rank = order.index(found.name) if found.name in order else len(order)
    return found.load is not None, rank, found.effect, found.load or ""


def format_tsv(shots: Sequence[CalibrationTrial], about: str = "") -> str:
    """A comment that says where and when, if given; a header line; one line a trial."""
    names = [f.name for f in fields(CalibrationTrial)]
    lines = [f"{COMMENT}{' '.join(about.split())}"] if about else []
    lines.append("\t".join(names))
    for shot in shots:
        values = (getattr(shot, name) for name in names)
        lines.append("\t".join(" ".join(str(value).split()) for value in values))
    return "\n".join(lines) + "\n"


def parse_about(text: str) -> str:
    """Where and when a table of `format_tsv` was made; empty if it does not say."""
    first = text.partition("\n")[0]
    return first.removeprefix(COMMENT).strip() if first.startswith(COMMENT) else ""


def parse_tsv(text: str) -> list[CalibrationTrial]:
    """Read what `format_tsv` wrote. Raises UsageError for anything else."""
    lines = text.splitlines()
    names = [f.name for f in fields(CalibrationTrial)]
    head = 1 + bool(parse_about(text))
    if len(lines) < head or lines[head - 1].split("\t") != names:
        where = f"line {head}"
        raise UsageError("not a calibration's table", where=where, allowed=["\t".join(names)])
    out = []
    for number, line in enumerate(lines[head:], head + 1):
        values = line.split("\t")
        try:
            target, kind, verdict, pairs, gain, seconds, blob, reason = values
            out.append(
                CalibrationTrial(
                    target, kind, verdict, int(pairs), float(gain), float(seconds), blob, reason
                )
            )
        except ValueError as error:
            raise UsageError("not a trial's line", where=f"line {number}") from error
    return out
