"""The noise of a machine, and the life of secret inputs: facts beside the trials."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NoiseSession:
    """An A/A test of the champion against its own copy: one boot, target, champion, ruleset."""

    target: str
    champion: str
    """sha256 of the champion's text."""
    boot_id: str
    aa_sd: tuple[float, ...]
    """As `Comparison.aa_sd`: per combo, per op, all; natural-log ratio."""
    bias: float
    """Mean of the A/A over all combos; natural-log ratio."""
    key: str = ""
    """Digest of all other inputs of the A/A."""
    pairs: int = 16


@dataclass(frozen=True, slots=True)
class EpochFacts:
    """Sets of secret inputs that a trial touched: the one in use, and those that have ended."""

    name: str
    """The one in use; empty: none."""
    seed: int
    """Its secret; the ledger holds only a commitment to it while the epoch is in use."""
    ended: tuple[tuple[str, int], ...] = ()
    """Name and seed of epochs that are over and not yet published."""
