"""One trial: a job in, one verdict out. The first verdict ends it.

    prepare ─────────────── check ─── screen ─── secret cases ── confirm ── defences
    tokens, rustc, object   outputs   pairs      outputs         fresh pools,
    in its sandbox          vs Lance  vs champion  vs Lance      fresh layouts

Only the rooms `judge` and `rules` decide. Of the agent's files the judge reads only the bytes it
is given, and it writes nothing: the caller records, keeps and reverts.
"""

from __future__ import annotations

from dataclasses import dataclass

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.meter import KernelAtFault, Sides
from lance_autoresearch.bench.noise import describe_bias, measure_noise
from lance_autoresearch.errors import MachineError
from lance_autoresearch.host.machine_faults import blame_machine
from lance_autoresearch.judge.check import blame_kernel_or_machine, check
from lance_autoresearch.judge.confirm import Confirmation, confirm
from lance_autoresearch.judge.job import EarlyVerdict, Job, JudgedTrial, Prepared, hash_text
from lance_autoresearch.judge.prepare import prepare
from lance_autoresearch.judge.screen import Screening, screen
from lance_autoresearch.judge.secret_cases import SecretCases, check_secret_cases
from lance_autoresearch.records import (
    NoiseSession,
    Reason,
    ReasonKind,
    Results,
    ScreeningFacts,
    TrialPairs,
    Verdict,
)
from lance_autoresearch.rules.policy import Policy

__all__ = ["judge", "judge_prepared", "prepare"]


@dataclass(slots=True)
class _Evidence:
    """The results of the stages so far; filled from top to bottom."""

    policy: Policy
    checked: int = 0
    noise: NoiseSession | None = None
    new_noise: NoiseSession | None = None
    screening: Screening | None = None
    secret_cases: SecretCases | None = None
    confirmation: Confirmation | None = None


def judge(job: Job, bench: Bench) -> JudgedTrial:
    """Judge one kernel against its champion.

    Raises:
        LarError: the machine or trusted code failed before there was a verdict.
    """
    return judge_prepared(job, prepare(job, bench), bench)


def judge_prepared(job: Job, prepared: Prepared, bench: Bench) -> JudgedTrial:
    """Judge a kernel that `prepare` has built; see `judge`."""
    found = _Evidence(job.policy)
    try:
        with blame_machine("judging"):
            end = _find_end(job, prepared, bench, found)
    except MachineError as failure:
        end = EarlyVerdict.make_from_machine(failure)
    return _finish(job, prepared, bench, found, end)


def _find_end(
    job: Job, prepared: Prepared, bench: Bench, found: _Evidence
) -> EarlyVerdict:
    """The first stage that ends the trial."""
    try:
        return (
            prepared.refusal
            or _refuse_same_program(job, prepared)
            or _check(prepared, bench, found)
            or _screen(job, prepared, bench, found)
            or _check_secret_cases(prepared, bench, found)
            or _confirm(prepared, bench, found)
            or EarlyVerdict(Verdict.KEEP, Reason(ReasonKind.CONFIRMED))
        )
    except KernelAtFault as caught:
        return blame_kernel_or_machine(bench, prepared.champion, caught.fault)


def _refuse_same_program(job: Job, prepared: Prepared) -> EarlyVerdict | None:
    """The same program cannot be faster."""
    assert prepared.built is not None
    if job.measure_same_program or prepared.built.digest != prepared.champion.digest:
        return None
    return EarlyVerdict(Verdict.REVERT, Reason(ReasonKind.SAME_PROGRAM))


def _check(prepared: Prepared, bench: Bench, found: _Evidence) -> EarlyVerdict | None:
    """Compare every case with Lance."""
    assert prepared.built is not None
    found.checked, end = check(bench, prepared.built, prepared.champion)
    return end


def _screen(job: Job, prepared: Prepared, bench: Bench, found: _Evidence) -> EarlyVerdict | None:
    """Pairs until the gate decides."""
    assert prepared.built is not None
    noise = job.noise
    if noise is None:
        noise = measure_noise(bench, prepared.champion, job.champion, job.policy)
        found.new_noise = noise
    found.noise, found.policy = noise, job.policy.adapt_to_noise(noise.aa_sd[-1])
    sides = [Sides(prepared.champion.so, prepared.built.so)]
    meter = bench.make_meter(sides, bench.inputs.epoch.timed, found.policy)
    with bench.phases("compare"):
        found.screening = screen(
            meter, found.policy, noise.aa_sd, job.earlier, show=bench.phases.update,
            holding=bench.hold_machine,
        )  # fmt: skip
    return found.screening.end


def _check_secret_cases(
    prepared: Prepared, bench: Bench, found: _Evidence
) -> EarlyVerdict | None:
    """Compare a full draw of secret sizes and data with Lance, before anything is confirmed."""
    assert prepared.built is not None
    found.secret_cases = check_secret_cases(bench, prepared.built)
    found.checked += found.secret_cases.calls
    return found.secret_cases.end


def _confirm(prepared: Prepared, bench: Bench, found: _Evidence) -> EarlyVerdict | None:
    """The same claim on fresh pools and layouts, then the defences."""
    assert found.screening is not None and found.noise is not None
    found.confirmation = confirm(
        bench, prepared, found.screening, found.policy, found.noise.aa_sd
    )
    return found.confirmation.end


def _finish(
    job: Job, prepared: Prepared, bench: Bench, found: _Evidence, end: EarlyVerdict
) -> JudgedTrial:
    confirmed = found.confirmation
    return JudgedTrial(
        verdict=end.verdict,
        reason=end.reason,
        results=_gather_results(prepared, bench, found, end),
        pairs=_gather_pairs(found),
        policy=found.policy,
        kernel_digest=hash_text(job.kernel),
        champion_digest=hash_text(job.champion),
        sessions=(found.new_noise,) if found.new_noise is not None else (),
        epochs=bench.inputs.facts,
        burnt_seeds=tuple(
            used.seed for used in (found.secret_cases, confirmed) if used is not None
        ),
        memory_key=prepared.memory_key,
        provenance=bench.provenance(job.policy),
        host=dict(bench.machine),
        toolchain=bench.toolchain,
        phases=bench.phases.sum_seconds(),
    )


def _gather_results(
    prepared: Prepared, bench: Bench, found: _Evidence, end: EarlyVerdict
) -> Results:
    screening, confirmed = found.screening, found.confirmation
    totals = None if confirmed is None else confirmed.defences.totals
    facts = None
    if screening is not None and found.noise is not None:
        facts = ScreeningFacts(
            slices=_count_slices(screening),
            seconds=bench.phases.seconds.get("compare"),
            core=bench.cores[0],
            aa=describe_bias(found.noise),
        )
    return Results(
        reason=end.reason,
        checked=found.checked,
        screening=None if screening is None else screening.result,
        screening_facts=facts,
        confirmation=None if confirmed is None else confirmed.result,
        distinct_inputs=None if confirmed is None else confirmed.defences.distinct,
        opponent=None if confirmed is None else confirmed.defences.opponent,
        totals=None if totals is None else totals.result,
        lower_tiers=() if confirmed is None else confirmed.tiers.results,
        fault=end.fault,
        code=prepared.code,
        margin=100.0 * found.policy.margin,
        level=found.policy.confirm_level,
    )


def _count_slices(screening: Screening) -> int:
    """Timed slices on both sides of the pairs that count."""
    return sum(
        len(side)
        for pair in screening.comparison.pairs
        if pair.void is None
        for side in pair.champion + pair.candidate
    )


def _gather_pairs(found: _Evidence) -> TrialPairs | None:
    if found.screening is None:
        return None
    confirmed = found.confirmation
    if confirmed is None:
        return TrialPairs(found.screening.comparison, before=found.screening.before)
    claim, totals = confirmed.defences.claim, confirmed.defences.totals
    return TrialPairs(
        screening=found.screening.comparison,
        confirmation=confirmed.comparison,
        long_blocks=confirmed.long_blocks,
        distinct_inputs=confirmed.defences.distinct_pairs,
        opponent=confirmed.defences.opponent_pairs,
        totals=None if totals is None else totals.times,
        lower_tiers=dict(confirmed.tiers.pairs),
        before=found.screening.before,
        judged_claim=None if claim is None else claim.gain,
    )
