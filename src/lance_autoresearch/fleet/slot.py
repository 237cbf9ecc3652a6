"""A worker's side: one slot a machine, which judges a job in this checkout.

    answer = judge_job(job)      # never raises a LarError: it travels as a refusal

Seeds and expected outputs stay here. A trial's epoch and noise session go into this checkout's own
ledger, with its commitments; the answer names the epoch and holds the seeds of ended ones only.
"""

from __future__ import annotations

from dataclasses import replace

from lance_autoresearch.campaign.coordinator import Coordinator, Story
from lance_autoresearch.errors import LarError
from lance_autoresearch.fleet.job import FleetAnswer, FleetJob
from lance_autoresearch.host import checkout, machine
from lance_autoresearch.host.cpu_kinds import read_processor
from lance_autoresearch.host.tier import read_requested_tier
from lance_autoresearch.judge.job import JudgedTrial

EPOCH = "epoch"
"""Key of a judged trial's host facts: the name of the worker's epoch."""


def name_slot() -> str:
    """The label of this machine's slot: its CPU kind, and the tier it is limited to."""
    return label_tier(read_requested_tier())


def label_tier(tier: str | None) -> str:
    """This machine's CPU kind limited to a tier: `zen3@avx2`; None: `zen3`."""
    kind = read_processor(core=machine.list_cores()[-1]).kind
    return kind if tier is None else f"{kind}@{tier}"


def judge_job(job: FleetJob) -> FleetAnswer:
    """Judge it here, if this checkout judges by the same rules."""
    root = checkout.find_root()
    try:
        with Coordinator(
            root, job.target, champion=job.champion, policy=job.policy
        ) as coordinator:
            if coordinator.ruleset != job.ruleset:
                return FleetAnswer(job.id, None, f"this worker has other rules: "
                                   f"{coordinator.ruleset[:12]}, not {job.ruleset[:12]}")
            judged = coordinator.judge(job.kernel, Story())
    except LarError as error:
        return FleetAnswer(job.id, None, error.what)
    return FleetAnswer(job.id, remove_secrets(judged))


def remove_secrets(judged: JudgedTrial) -> JudgedTrial:
    """The trial without the seed of the epoch in use, and without facts of this ledger."""
    name = "" if judged.epochs is None else judged.epochs.name
    return replace(judged, epochs=None, sessions=(), host={**judged.host, EPOCH: name})
