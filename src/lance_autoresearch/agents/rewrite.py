"""The agent that needs no account: mechanical rewrites of the champion, one at a time.

    champion ── list_rewrites ──> steps, untried ──> arm (bandit) ──> step ──> rustfmt, rustc
                                    └── "not proven" before ──> two of them combined

What paid before on this target and CPU kind is drawn more often (`rewrite_draw`); the ledger is
the memory, so a loop that goes on, or the next campaign, begins with it. A step that was refused,
wrong or slower in this campaign is not proposed again for a later champion. The draw is seeded by
the target, the CPU kind, the trials so far and the agent's number among several: the same ledger
gives the same proposals, and two agents draw differently.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from lance_autoresearch.agents import Proposal, Turn
from lance_autoresearch.agents.rewrite_draw import COMBINED, count_arms, draw_arm
from lance_autoresearch.build.source_check import does_compile, format_source
from lance_autoresearch.host import machine
from lance_autoresearch.host.cpu_kinds import read_processor
from lance_autoresearch.host.tier import list_missing_features
from lance_autoresearch.ledger import Ledger, hash_bytes
from lance_autoresearch.ledger.chained import find_ledger_path
from lance_autoresearch.records import ReasonKind, RewriteStep, TrialRecord, Verdict
from lance_autoresearch.rewrites import Facts, Rewrite, apply_edits, are_disjoint, list_rewrites
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.spec import Target

WORTH_COMBINING = frozenset({ReasonKind.NOT_PROVEN, ReasonKind.UNDECIDED, ReasonKind.NO_GAIN,
                             ReasonKind.CLAIM_TOO_SMALL})
"""Reasons of a trial whose rewrite may still gain together with another one."""
Steps = frozenset[RewriteStep]


class RewriteAgent:
    """Proposes one rewrite, or two that were not proven alone, until none is left."""

    name = "rewrite"

    def __init__(self) -> None:
        self._done: set[tuple[str, Steps]] = set()
        """What was proposed, did not compile or changed nothing, by digest of the champion."""
        self._facts: Facts | None = None

    def propose(self, turn: Turn) -> Proposal | None:
        """The next candidate that compiles; None if nothing is left to try.

        Raises:
            BuildFault: a trusted part of the target does not build.
            MachineError: no compiler.
        """
        if self._facts is None:
            self._facts = read_facts(catalogue.load_target(turn.root, turn.target))
        champion = hash_bytes(turn.champion)
        rows = _list_rows(turn)
        kind = machine.describe_machine()["cpu_kind"]
        arms = count_arms(rows, kind)
        rng = random.Random(f"{turn.target} {kind} {champion} {len(rows)} {turn.home.name}")
        usable = _list_usable(list_rewrites(turn.champion, self._facts))
        while candidates := self._list_candidates(usable, rows, champion):
            arm = draw_arm(arms, candidates.keys(), rng)
            chosen = rng.choice(candidates[arm]) if arm != COMBINED else candidates[arm][0]
            self._done.add((champion, _get_steps(chosen)))
            proposal = self._make_proposal(turn, chosen)
            if proposal is not None:
                return proposal
        return None

    def _list_candidates(
        self, usable: Sequence[Rewrite], rows: Sequence[TrialRecord], champion: str
    ) -> dict[str, list[tuple[Rewrite, ...]]]:
        """What was not tried yet, by arm; an arm without candidates is left out."""
        tried = {frozenset(r.results.rewrites) for r in rows
                 if (r.results.made_from or r.champion) == champion}
        tried |= {steps for base, steps in self._done if base == champion}
        failed = {r.results.rewrites[0] for r in rows if _has_failed(r)}
        found: dict[str, list[tuple[Rewrite, ...]]] = {}
        for rewrite in usable:
            if frozenset((rewrite.step,)) not in tried and rewrite.step not in failed:
                found.setdefault(rewrite.step.kind, []).append((rewrite,))
        for pair in list_combinations(usable, rows):
            if _get_steps(pair) not in tried:
                found.setdefault(COMBINED, []).append(pair)
        return found

    def _make_proposal(self, turn: Turn, chosen: tuple[Rewrite, ...]) -> Proposal | None:
        """The candidate, formatted; None if it does not compile or is the champion again."""
        text = format_source(turn.root, apply_edits(turn.champion, chosen), turn.champion)
        known = {record.kernel for record in turn.history}
        if hash_bytes(text) in known or text == turn.champion:
            return None
        if not does_compile(turn.root, turn.target, text):
            return None
        steps = tuple(rewrite.step for rewrite in chosen)
        what = " + ".join(step.label for step in steps)
        return Proposal(text, f"rewrite {what}", rewrites=steps)


def read_facts(target: Target) -> Facts:
    """What a target declares: rounding is free if every float it returns is compared in ulps."""
    floats = [out for op in target.ops for out in op.outputs if out.dtype.startswith("f")]
    return Facts(bool(floats) and all(out.rule.startswith("ulp") for out in floats))


def list_combinations(
    usable: Sequence[Rewrite], rows: Sequence[TrialRecord]
) -> Iterator[tuple[Rewrite, Rewrite]]:
    """Pairs of rewrites that were not proven alone and touch different places, the best first."""
    gains: dict[RewriteStep, float] = {}
    for record in rows:
        reason, steps = record.results.reason, record.results.rewrites
        unproven = reason is not None and reason.kind in WORTH_COMBINING
        if unproven and len(steps) == 1 and (record.gain or 0.0) > 0.0:
            gains[steps[0]] = record.gain or 0.0
    promising = [rewrite for rewrite in usable if rewrite.step in gains]
    pairs = [pair for pair in itertools.combinations(promising, 2) if are_disjoint(pair)]
    yield from sorted(pairs, key=lambda pair: -sum(gains[rewrite.step] for rewrite in pair))


def _has_failed(record: TrialRecord) -> bool:
    """Whether a single rewrite ended so that a later champion will not help it."""
    if len(record.results.rewrites) != 1 or record.verdict in (Verdict.KEEP, Verdict.INCONCLUSIVE):
        return False
    reason = record.results.reason
    return reason is None or reason.kind not in WORTH_COMBINING


def _get_steps(chosen: tuple[Rewrite, ...]) -> Steps:
    return frozenset(rewrite.step for rewrite in chosen)


def _list_usable(rewrites: Sequence[Rewrite]) -> list[Rewrite]:
    """Without those that need CPU features which are missing here."""
    processor = read_processor(core=machine.list_cores()[-1])
    return [found for found in rewrites if not list_missing_features(found.needs, processor)]


def _list_rows(turn: Turn) -> list[TrialRecord]:
    """All trials of rewrites on the target: this campaign's and, from the ledger, earlier ones."""
    found: dict[tuple[str, str], TrialRecord] = {}
    if turn.root != Path() and find_ledger_path(turn.root).is_file():
        with Ledger.open(turn.root) as ledger:
            for row in ledger.list_trials(target=turn.target):
                if row.record.results.rewrites:
                    found[row.record.champion, row.record.kernel] = row.record
    for record in turn.history:  # without their results, if the loop is long
        if record.results.rewrites:
            found.setdefault((record.champion, record.kernel), record)
    return list(found.values())
