"""The noise of this machine: the champion against a copy of its own file, before any trial.

    session = measure_noise(bench, champion, text, policy)    16 pairs, once a boot and champion
    policy.fitted(session.aa_sd[-1])                          the pairs that this noise asks for
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.meter import (
    ConductorMeter,
    KernelAtFault,
    PairPlan,
    Sides,
    gather_pairs,
)
from lance_autoresearch.build.builder import Built
from lance_autoresearch.errors import MachineError
from lance_autoresearch.records import Comparison, Estimate, NoiseSession, PairTimes
from lance_autoresearch.rules import stats
from lance_autoresearch.rules.confirmation import measure_bias, measure_spread
from lance_autoresearch.rules.estimator import count_voids, has_too_many_void
from lance_autoresearch.rules.policy import Policy


def measure_noise(bench: Bench, champion: Built, text: bytes, policy: Policy) -> NoiseSession:
    """A noise session of a champion, measured now.

    Raises:
        MachineError: too many of its pairs were void, or the champion itself failed.
    """
    bench.conductor.ensure_running()
    pairs = policy.session_pairs
    bench.phases.say(f"measuring the noise: {pairs} pairs of the champion and its copy")
    with bench.phases("session"):
        measured = measure_aa(bench, champion.so, pairs, policy)
    if has_too_many_void(measured, policy):
        causes = ", ".join(f"{cause} ({count})" for cause, count in count_voids(measured))
        raise MachineError(
            f"the noise of this machine cannot be measured: {causes}",
            where=bench.target.name,
            next="lar doctor; try again when the machine is calmer",
        )
    spread, bias = measure_spread(measured, policy), measure_bias(measured, policy)
    fitted = policy.adapt_to_noise(spread[-1])
    if fitted != policy:
        bench.phases.say(
            f"a pair spreads by {100 * spread[-1]:.1f} % here: up to "
            f"{fitted.max_pairs} pairs a trial, {fitted.confirm_pairs} to confirm"
        )
    return NoiseSession(
        target=bench.target.name,
        champion=hashlib.sha256(text).hexdigest(),
        boot_id=bench.boot,
        aa_sd=spread,
        bias=bias.gain / 100,
        key=bench.provenance(policy)["all"],
        pairs=pairs,
    )


def measure_aa(
    bench: Bench, library: Path, pairs: int, policy: Policy, tier: str = "native"
) -> Comparison:
    """A library against a copy of its own file, on the epoch's pools.

    Raises:
        MachineError: the library itself failed.
    """
    copy = bench.scratch / "copy.so"
    shutil.copyfile(library, copy)
    plan = PairPlan(policy.rounds, policy.slice_us, tier=tier)
    meter = ConductorMeter(bench, [Sides(library, copy)], bench.inputs.epoch.timed, plan)
    found: list[PairTimes] = []
    most = max(policy.max_void, policy.max_void_share * pairs)
    with bench.hold_machine():
        while len(found) < pairs and sum(p.void is not None for p in found) <= most:
            found.append(_measure_own_pair(meter, bench))
    return gather_pairs(meter, found)


def _measure_own_pair(meter: ConductorMeter, bench: Bench) -> PairTimes:
    try:
        return meter.measure_pair()
    except KernelAtFault as error:
        raise MachineError(
            f"the champion itself failed in an A/A pair: {error.fault.kind}",
            where=error.fault.combo, next=f"./lar validate {bench.target.name}",
        ) from error  # fmt: skip


def describe_bias(session: NoiseSession) -> Estimate:
    """The session's bias with its 99 % interval, in %."""
    half = stats.find_t_quantile(0.995, session.pairs - 1) * session.aa_sd[-1]
    half, bias = 100 * half / session.pairs**0.5, 100 * session.bias
    return Estimate("all", bias, bias - half, bias + half, session.pairs)



