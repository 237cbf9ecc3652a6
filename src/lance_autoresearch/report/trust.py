"""How far the verdicts of a campaign can be trusted: its noise, and the price of a false keep.

    build_trust(night).bound  # 2.5e-4: expected number of false keeps in 100 trials, at most
"""

from __future__ import annotations

from typing import NamedTuple

from lance_autoresearch.records import Verdict
from lance_autoresearch.report.campaign_data import CampaignData
from lance_autoresearch.rules.policy import DEFAULT, Policy
from lance_autoresearch.rules.stats import compute_exact_bounds


class Session(NamedTuple):
    """One session's A/A: the champion against its own copy, %."""

    created: str
    champion: str
    bias: float
    spread: float
    """SD of one pair over all combos."""
    worst: float
    """SD of one pair in the noisiest combo."""


class Trust(NamedTuple):
    """The counters that the ledger has."""

    judged: int
    """Trials that were timed, those of ablations too: only these can be kept falsely."""
    each: float
    """Bound on the probability that one of them is."""
    bound: float
    """Their product: expected false keeps, at most."""
    screened: int
    """Trials that passed the screening..."""
    refuted: int
    """...and failed the confirmation."""
    void: int
    pairs: int
    nulls: int
    """Those that reached a verdict: the campaigns' hidden ones and those of `lar calibrate`."""
    nulls_kept: int
    nulls_most: float | None
    """Upper end of the exact 99 % interval of the share of nulls that are kept."""
    sessions: list[Session]


def build_trust(night: CampaignData, policy: Policy = DEFAULT) -> Trust:
    """Count.

    The bound is that of the method for normal noise: 1 / threshold at the screening (an e-value
    under the null exceeds it at most that often), times 1 - confirm_level on fresh data.
    """
    ablated = [row.record for found in night.ablations for row in found.rows]
    timed = [r for r in (*night.records, *ablated) if r.results.measured is not None]
    gates = [r.results.screening for r in timed if r.results.screening is not None]
    threshold = max([policy.e_threshold, *(gate.threshold for gate in gates)])
    each = (1.0 - policy.confirm_level) / threshold
    screened = [r for r in timed if r.results.confirmation is not None]
    decided = [r for r in night.nulls if r.record.verdict is not Verdict.INCONCLUSIVE]
    kept = sum(r.record.verdict is Verdict.KEEP for r in decided)
    count = len(decided)
    return Trust(
        judged=len(timed),
        each=each,
        bound=each * len(timed),
        screened=len(screened),
        refuted=sum(r.verdict is not Verdict.KEEP for r in screened),
        void=sum(gate.void for gate in gates),
        pairs=sum(gate.pairs for gate in gates),
        nulls=count,
        nulls_kept=kept,
        nulls_most=compute_exact_bounds(kept, count).high if count else None,
        sessions=_list_sessions(night),
    )


def _list_sessions(night: CampaignData) -> list[Session]:
    found = []
    for row in night.sessions:
        noise = row.noise
        spread = 100 * noise.aa_sd[-1] if noise.aa_sd else 0.0
        worst = 100 * max(noise.aa_sd, default=0.0)
        found.append(Session(row.created, noise.champion, 100 * noise.bias, spread, worst))
    return found
