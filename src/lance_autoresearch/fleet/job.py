"""What travels between a coordinator and a worker: a job, and its answer. Plain data.

    job = make_job("zen4", kernel, champion, "ham", policy, ruleset)
    answer = judge_job(job)          # on a worker (`slot`): a JudgedTrial, or why there is none
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass

from lance_autoresearch.judge.job import JudgedTrial, hash_text
from lance_autoresearch.rules.policy import Policy


@dataclass(frozen=True, slots=True)
class FleetJob:
    """One candidate to be judged on one CPU kind."""

    id: str
    """sha256 over all the rest: what is submitted twice is one job."""
    kind: str
    """Label of the workers that may take it."""
    target: str
    kernel: bytes
    champion: bytes
    policy: Policy
    ruleset: str
    """Digest of the rules that the coordinator judges by."""


@dataclass(frozen=True, slots=True)
class FleetAnswer:
    """A worker's answer."""

    job: str
    judged: JudgedTrial | None
    """Without secrets: no seed of a living epoch is in it."""
    refusal: str = ""
    """Why nothing was judged: another ruleset, a failed machine."""


def make_job(
    kind: str, kernel: bytes, champion: bytes, target: str, policy: Policy, ruleset: str
) -> FleetJob:
    """A job with its id."""
    parts = [kind, target, hash_text(kernel), hash_text(champion), dataclasses.asdict(policy),
             ruleset]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return FleetJob(digest, kind, target, kernel, champion, policy, ruleset)
