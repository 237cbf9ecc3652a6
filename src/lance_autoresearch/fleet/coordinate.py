"""The coordinator of a fleet: one row for a candidate, with one judged trial for each kind in it.

    with FleetCoordinator(root, "ham", client=client, kinds=("zen3", "zen4")) as coordinator:
        done = coordinator.attempt(text, story, campaign)

It judges nothing itself. Each kind is judged with the threshold times the number of kinds, so that
the mean e-value can reach the threshold on the strength of one kind. A candidate whose
jobs are in the ledger is answered from there: after a restart nothing is recorded twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from distributed import Client

from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.coordinator import Coordinator, FinishedTrial, Story
from lance_autoresearch.errors import MachineError, UsageError
from lance_autoresearch.fleet.cluster import list_slots
from lance_autoresearch.fleet.decision import (
    decide_over_kinds,
    is_loss,
    measure_fleet_rules,
    summarize_kind,
)
from lance_autoresearch.fleet.fan_out import judge_on_kinds
from lance_autoresearch.fleet.job import FleetAnswer, FleetJob, make_job
from lance_autoresearch.judge.job import JudgedTrial, hash_text
from lance_autoresearch.ledger import Row
from lance_autoresearch.records import (
    KindResult,
    PairTimes,
    Reason,
    ReasonKind,
    Verdict,
)
from lance_autoresearch.rules.policy import DEFAULT, Policy


class FleetCoordinator(Coordinator):
    """Judges on the kinds of a fleet; writes as the coordinator of one machine does."""

    def __init__(
        self, root: Path, target: str, *, client: Client, kinds: Sequence[str],
        champion: bytes | None = None, policy: Policy = DEFAULT,
    ) -> None:
        """Args:
            kinds: labels of slots; each must have a worker.

        Raises:
            UsageError: no worker of a kind.
        """
        slots = list_slots(client)
        if missing := [kind for kind in kinds if kind not in slots]:
            raise UsageError(f"no worker of {', '.join(missing)}", allowed=sorted(slots),
                             next="./lar fleet status")
        super().__init__(root, target, champion=champion, policy=policy)
        self.client, self.kinds = client, tuple(dict.fromkeys(kinds))

    def attempt(
        self, text: bytes, story: Story, campaign: Campaign | None = None, *,
        earlier: Sequence[PairTimes] = (),
    ) -> FinishedTrial:
        """Judge one kernel on every kind and write one row. `earlier` is not used.

        Raises:
            LarError: the ledger failed, or no worker judged it.
        """
        jobs = self.make_jobs(text)
        if (known := self.find_recorded(text, jobs)) is not None:
            return FinishedTrial(known.id, known.record, remembered=True)
        answers = judge_on_kinds(self.client, jobs, _is_lost)
        return self.record(text, self.combine(answers), story, campaign)

    def make_jobs(self, text: bytes) -> list[FleetJob]:
        """A job for each kind."""
        policy = replace(
            self.policy, e_threshold=self.policy.e_threshold * max(1, len(self.kinds))
        )
        rules = self.bench.provenance(policy)["all"]
        return [
            make_job(kind, text, self.champion_text, self.target.name, policy, rules)
            for kind in self.kinds
        ]

    def find_recorded(self, text: bytes, jobs: Sequence[FleetJob]) -> Row | None:
        """The row that these jobs have already led to; an undecided one does not count."""
        kernel, ids = hash_text(text), {job.id for job in jobs}
        for row in reversed(self.ledger.list_trials(target=self.target.name)):
            found = {one.job for one in row.record.results.kinds}
            decided = row.record.verdict is not Verdict.INCONCLUSIVE
            if row.record.kernel == kernel and decided and found and found <= ids:
                return row
        return None

    def combine(self, answers: Sequence[tuple[FleetJob, FleetAnswer]]) -> JudgedTrial:
        """One judged trial: that of the deciding kind, with all kinds in its results.

        Raises:
            MachineError: no kind was judged.
        """
        found = [_summarize(job, answer) for job, answer in answers]
        judged = {job.kind: answer.judged for job, answer in answers if answer.judged is not None}
        if not judged:
            why = "; ".join(answer.refusal for _, answer in answers)
            raise MachineError(f"no worker judged it: {why}", next="./lar fleet status")
        decision = decide_over_kinds(found, self.policy.e_threshold)
        base = judged.get(decision.deciding) or next(iter(judged.values()))
        reason = replace(decision.reason, detail=decision.reason.detail or decision.deciding)
        results = replace(base.results, reason=reason, kinds=tuple(found))
        return replace(
            base, verdict=decision.verdict, reason=reason, results=results, memory_key="",
            provenance=measure_fleet_rules(base.provenance),
        )


def _is_lost(job: FleetJob, answer: FleetAnswer) -> bool:
    return answer.judged is not None and is_loss(_summarize(job, answer))


def _summarize(job: FleetJob, answer: FleetAnswer) -> KindResult:
    judged = answer.judged
    if judged is None:  # the machine failed: no verdict on the kernel
        reason = Reason(ReasonKind.MACHINE, detail=f"{job.kind}: {answer.refusal}"[:300])
        return KindResult(job.kind, job.id, Verdict.INCONCLUSIVE, reason, 0.0)
    return summarize_kind(job.kind, job.id, judged.verdict, judged.results)
