"""One row of the ledger: a trial with everything that it depended on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lance_autoresearch.records.results import Results
from lance_autoresearch.records.verdict import Verdict

INSIDE = frozenset({"python_cpu", "lock", "waited"})
"""Entries of `phases` that are part of another one: CPU of this process, waiting for the
machine's lock, waiting for a quiet core."""


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One row of the ledger; the digests are JSON-able."""

    target: str
    verdict: Verdict
    reason: str
    """One line for people: the first thing to read. Nothing decides by it: see `results`."""
    kernel: str
    """sha256 of the bytes of kernels.rs."""
    champion: str
    """sha256 of the champion's kernels.rs bytes it was compared with."""
    hypothesis: str = ""
    campaign: str | None = None
    parent: int | None = None
    """Id of the trial whose kernel was the champion, None for upstream."""
    agent: str = "hand"
    kind: str = "trial"
    """trial, aa, padding, identity, delay, replay, ..."""
    gain: float | None = None
    """Confirmed gain in % if there is one, else the screening estimate."""
    low: float | None = None
    high: float | None = None
    results: Results = field(default_factory=Results)
    """The results of each stage."""
    phases: Mapping[str, float] = field(default_factory=dict)
    """Seconds per phase."""
    immutable: Mapping[str, str] = field(default_factory=dict)
    """Digests of everything the kernel could not touch: upstream, target, contract, flags..."""
    machine: Mapping[str, str] = field(default_factory=dict)
    toolchain: str = ""
    epoch: str = ""
    burnt_seeds: tuple[int, ...] = ()
    tokens: int | None = None
    cost_usd: float | None = None
    pairs_blob: str | None = None
    """sha256 of the raw pairs in the blob table."""
    stored: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    """x so that the row can be hashed again; None for
    a record that was not read from a ledger."""

    @property
    def seconds(self) -> float:
        """Wall time of the whole trial: its phases, without what lies inside another."""
        return sum(value for name, value in self.phases.items() if name not in INSIDE)
