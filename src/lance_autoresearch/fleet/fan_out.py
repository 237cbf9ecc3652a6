"""One candidate on every CPU kind that was asked for; the rest is cancelled at the first loss.

    answers = judge_on_kinds(client, jobs, lost)     # answers in the order in which they came

A job's id is its key: a job that a lost worker left behind is run again by the scheduler and still
has one answer. Jobs that run on a worker when another kind loses are left to end there; their
answers are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from distributed import Client, Future, as_completed

from lance_autoresearch.fleet.job import FleetAnswer, FleetJob
from lance_autoresearch.fleet.slot import judge_job

Lost = Callable[[FleetJob, FleetAnswer], bool]


def judge_on_kinds(
    client: Client, jobs: Sequence[FleetJob], lost: Lost,
    run: Callable[[FleetJob], FleetAnswer] = judge_job,
) -> list[tuple[FleetJob, FleetAnswer]]:
    """Judge all jobs, or those up to the first loss.

    Args:
        lost: whether an answer alone forbids a keep.
        run: what a worker does with a job.
    """
    waiting: dict[Future[FleetAnswer], FleetJob] = {
        client.submit(run, job, key=job.id, resources={job.kind: 1}, pure=True): job
        for job in jobs
    }
    answers = []
    for future in as_completed(list(waiting)):
        job = waiting.pop(future)
        answers.append((job, read_answer(job, future)))
        if lost(*answers[-1]):
            client.cancel(list(waiting))
            break
    return answers


def read_answer(job: FleetJob, future: Future[FleetAnswer]) -> FleetAnswer:
    """A worker's answer; a job whose workers all died is a refusal."""
    error = future.exception()
    if error is not None:
        return FleetAnswer(job.id, None, f"{type(error).__name__}: {error}")
    answer: FleetAnswer = future.result()
    return answer
