"""The coordinator: asks the judge, writes the ledger's row, then moves the campaign.

    with Coordinator(root, "hamming", champion=text) as coordinator:
        done = coordinator.attempt(kernel, Story(hypothesis="..."), campaign)
        done.record.verdict, done.number

It is the only writer of trials. Outside a campaign a kernel is only judged and recorded. What was
judged before under these rules is answered from the ledger: a text that was refused, and linked
code, or a text that differs in comments alone, that was timed against this champion. Nulls, replays
and calibration are exempt. An inconclusive verdict is never remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.noise import measure_noise
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.recording import FinishedTrial, Story, encode_pairs, make_record
from lance_autoresearch.host.phases import Phases
from lance_autoresearch.judge.job import Job, JudgedTrial, Prepared, hash_text
from lance_autoresearch.judge.judge import judge, judge_prepared, prepare
from lance_autoresearch.judge.prepare import find_code_key, find_refusal_key
from lance_autoresearch.ledger import Ledger, Row
from lance_autoresearch.records import NoiseSession, PairTimes, Verdict
from lance_autoresearch.rules.policy import DEFAULT, Policy
from lance_autoresearch.targets.spec import Target

__all__ = ["Coordinator", "FinishedTrial", "Story", "make_record"]

REMEMBERED_KIND = "trial"
"""Only trials of this kind are answered from the ledger and answer later ones."""


class Coordinator:
    """One bench, one ledger, one champion; a context manager."""

    def __init__(
        self,
        root: Path,
        target: str,
        *,
        champion: bytes | None = None,
        phases: Phases | None = None,
        policy: Policy = DEFAULT,
    ) -> None:
        """Args:
            champion: text of the kernel to beat; None is upstream's own code.

        Raises:
            LarError: as `Bench`.
        """
        self.policy = policy
        self.bench = Bench(root, target, phases=phases)
        self.champion_text = self.bench.first_kernel if champion is None else champion

    def __enter__(self) -> Self:
        self.ledger = Ledger.open(self.bench.root)
        try:
            self.bench.__enter__()
        except BaseException:
            self.ledger.close()
            raise
        return self

    def __exit__(self, *why: object) -> None:
        self.bench.__exit__(*why)
        self.ledger.close()

    @property
    def target(self) -> Target:
        """The target under judgement."""
        return self.bench.target

    @property
    def ruleset(self) -> str:
        """Digest of everything that a verdict depends on beside the kernels and the machine."""
        return self.bench.provenance(self.policy)["all"]

    def set_champion(self, text: bytes) -> None:
        """Make a kept kernel the champion; its own noise is measured at the next trial."""
        self.champion_text = text

    def begin_phases(self, phases: Phases) -> None:
        """Start the clock of the next trial."""
        self.bench.phases = phases

    # -- trials ----------------------------------------------------------------------------

    def attempt(
        self,
        text: bytes,
        story: Story,
        campaign: Campaign | None = None,
        *,
        earlier: Sequence[PairTimes] = (),
    ) -> FinishedTrial:
        """Judge one kernel, write the row, and keep or revert if there is a campaign.

        Args:
            earlier: pairs of an undecided trial of the same kernel; given, memory is not asked.

        Raises:
            LarError: the machine, the ledger or trusted code failed; nothing was decided.
        """
        job = self.make_job(text, story, earlier)
        remembers = story.kind == REMEMBERED_KIND and not earlier
        if remembers:
            refused = self.ledger.find_judged(find_refusal_key(job, self.bench))
            if refused is not None:
                return self._answer_from_memory(text, refused, campaign)
        prepared = prepare(job, self.bench)
        known = self._recall(job, prepared) if remembers and prepared.built is not None else None
        if known is not None and (campaign is None or not _is_keep(known)):
            return self._answer_from_memory(text, known, campaign)
        judged = judge_prepared(job, prepared, self.bench)
        return self.record(text, judged, story, campaign)

    def _recall(self, job: Job, prepared: Prepared) -> Row | None:
        """The verdict on the same linked code, or on a text that differs in comments alone.

        A comment moves lines, and the places that panics name are part of the linked code.
        """
        known = self.ledger.find_judged(prepared.memory_key)
        if known is not None or prepared.code is None or not prepared.code.program:
            return known
        for row in self.ledger.list_judged_programs(prepared.code.program, hash_text(job.champion)):
            code = row.record.results.code
            if code is not None and row.judged == find_code_key(
                job, self.bench, code.digest, prepared.champion
            ):
                return row
        return None

    def _answer_from_memory(
        self, text: bytes, known: Row, campaign: Campaign | None
    ) -> FinishedTrial:
        if campaign is not None:
            self._restore(text, campaign)
        return FinishedTrial(known.id, known.record, remembered=True)

    def judge(self, text: bytes, story: Story, earlier: Sequence[PairTimes] = ()) -> JudgedTrial:
        """Judge one kernel and write nothing of its verdict."""
        judged = judge(self.make_job(text, story, earlier), self.bench)
        self.write_facts(judged)
        return judged

    def make_job(
        self, text: bytes, story: Story, earlier: Sequence[PairTimes] = ()
    ) -> Job:
        """The judge's input: this kernel against the champion."""
        return Job(
            target=self.target.name,
            kernel=text,
            champion=self.champion_text,
            policy=self.policy,
            earlier=tuple(earlier),
            noise=self.find_noise(),
            measure_same_program=story.kind != REMEMBERED_KIND,
            layout=story.layout,
            order=story.order,
        )

    def record(
        self, text: bytes, judged: JudgedTrial, story: Story, campaign: Campaign | None = None
    ) -> FinishedTrial:
        """The ledger's row, then branch and worktree."""
        self.write_facts(judged)
        record = make_record(judged, story, self.target)
        if (document := encode_pairs(judged)) is not None:
            record = replace(record, pairs_blob=self.ledger.put_blob(document, "pairs"))
        key = judged.memory_key if record.kind == REMEMBERED_KIND else ""
        if campaign is not None:
            return FinishedTrial(campaign.record_trial(record, text, judged=key), record)
        number = self.ledger.append(record, judged=key, blobs={"kernel": text})
        return FinishedTrial(number, record)

    def write_facts(self, judged: JudgedTrial) -> None:
        """Record the noise sessions and epochs of a trial."""
        for session in judged.sessions:
            self.ledger.add_noise(session)
        if judged.epochs is not None:
            self.ledger.add_epochs(self.target.name, judged.epochs)
            self.bench.inputs.forget_ended(judged.epochs)

    # -- noise -----------------------------------------------------------------------------

    def find_noise(self) -> NoiseSession | None:
        """The noise session of this boot and champion, while it is valid; None: not measured."""
        champion = hash_text(self.champion_text)
        boot, key = self.bench.boot, self.ruleset
        return self.ledger.find_noise(self.target.name, champion, boot, key=key)

    def measure_noise(self) -> NoiseSession:
        """Measure a noise session now, also if one is known, and record it.

        Raises:
            MachineError: too many of its pairs were void.
        """
        champion = self.bench.build(self.champion_text)
        session = measure_noise(self.bench, champion, self.champion_text, self.policy)
        self.ledger.add_noise(session)
        self.ledger.add_epochs(self.target.name, self.bench.inputs.facts)
        return session

    def _restore(self, text: bytes, campaign: Campaign) -> None:
        """Restore the champion's text if the judged kernel, or no readable one, lies there."""
        with campaign.desk.hold_lock():
            if campaign.desk.read_digest() in (None, hash_text(text)):
                campaign.desk.place_kernel(self.champion_text)


def _is_keep(row: Row) -> bool:
    return row.record.verdict is Verdict.KEEP
