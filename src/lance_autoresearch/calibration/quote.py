"""The quotable number: a champion against Lance's own code, on fresh data and layouts.

32 pairs, fresh secret pools at every combo's second size, the flags Lance is shipped with and a
fresh layout for each pair and side. Kept gains of a campaign are never multiplied into it.

    result = measure_quote(bench, text, policy, tier="native", pairs=32)
    result.components[0]        # all combos: gain, 99 % interval
"""

from __future__ import annotations

import secrets

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.meter import Sides, gather_pairs
from lance_autoresearch.build import builder
from lance_autoresearch.errors import MachineError
from lance_autoresearch.host.machine_lock import lock_machine
from lance_autoresearch.judge.job import hash_text
from lance_autoresearch.records import (
    Comparison,
    ConfirmResult,
    PairTimes,
    Reason,
    ReasonKind,
    Results,
    TrialRecord,
)
from lance_autoresearch.rules.confirmation import confirm_claim
from lance_autoresearch.rules.estimator import count_voids, has_too_many_void
from lance_autoresearch.rules.policy import Policy
from lance_autoresearch.text.reasons import describe_reason
from lance_autoresearch.text.verdict_text import render_combo_table

QUOTE_PAIRS = 32
QUOTE_KIND = "quote"
"""Kind of the ledger's rows that hold a quoted figure."""


def measure_quote(
    bench: Bench, text: bytes, policy: Policy, *, tier: str = "native", pairs: int = QUOTE_PAIRS
) -> ConfirmResult:
    """A kernel against upstream at one CPU tier.

    Raises:
        MachineError: upstream's own library failed, or too many pairs were void, so nothing can
            be said.
        KernelAtFault: the kernel gave a wrong output on the fresh inputs.
    """
    comparison = measure_pairs(bench, text, policy, tier=tier, pairs=pairs)
    if has_too_many_void(comparison, policy):
        causes = ", ".join(f"{cause} ({count})" for cause, count in count_voids(comparison))
        raise MachineError(
            f"no figure: too many of {pairs} pairs were disturbed: {causes}",
            where=f"{bench.target.name} at tier {tier}",
            next="lar doctor; try again when the machine is quiet",
        )
    return confirm_claim(comparison, None, "all", policy)


def measure_pairs(
    bench: Bench, text: bytes, policy: Policy, *, tier: str, pairs: int, flags: str = "quote"
) -> Comparison:
    """Raw pairs of a kernel (as candidate) against upstream (as champion)."""
    root, name = bench.root, bench.target.name
    with bench.phases("build"), lock_machine("shared"):
        base = builder.build_upstream(root, name, flags=flags)
        mine = builder.build_kernel(root, name, text, flags=flags)
    with bench.phases("fresh"):
        pools, _ = bench.inputs.make_fresh()
        with lock_machine("shared"):
            left = builder.relink_many(base, [secrets.randbits(32) for _ in range(pairs)])
            right = builder.relink_many(mine, [secrets.randbits(32) for _ in range(pairs)])
    sides = [Sides(*both) for both in zip(left, right, strict=True)]
    meter = bench.make_meter(sides, pools, policy, tier=tier)
    found: list[PairTimes] = []
    with bench.phases("compare"), bench.hold_machine():
        while len(found) < pairs:
            found.append(meter.measure_pair())
            bench.phases.update(f"pair {len(found)} of {pairs}")
    return gather_pairs(meter, found)


def make_quote_record(
    bench: Bench, text: bytes, policy: Policy, tier: str, result: ConfirmResult
) -> TrialRecord:
    """The ledger's row of a quoted figure: kind `quote`, compared with upstream, no campaign.

    It is no trial: it keeps and reverts nothing. The report shows the newest.
    """
    overall = result.components[0]
    why = f"quoted against Lance at tier {tier}: {describe_reason(result.reason)}"
    return TrialRecord(
        target=bench.target.name,
        verdict=result.verdict,
        reason=why,
        kernel=hash_text(text),
        champion=hash_text(bench.first_kernel),
        kind=QUOTE_KIND,
        gain=overall.gain,
        low=overall.low,
        high=overall.high,
        results=Results(
            reason=Reason(ReasonKind.QUOTED, about=tier),
            confirmation=result,
            tier=tier,
            margin=100.0 * policy.margin,
            level=policy.confirm_level,
        ),
        phases=bench.phases.sum_seconds(),
        immutable=bench.provenance(policy),
        machine=bench.machine,
        toolchain=bench.toolchain,
    )


def print_quote(target: str, tier: str, result: ConfirmResult) -> str:
    """The figure as it may be copied: gains as factors with 99 % bounds, then every combo."""
    lines = [
        f"{target} at tier {tier}: {component.name} {1 + component.gain / 100:.3f}x "
        f"[{1 + component.low / 100:.3f} {1 + component.high / 100:.3f}]"
        for component in result.components
    ]
    lines.append(f"against Lance's own code, {result.pairs} pairs (void {result.void}), 99 %")
    return "\n".join([*lines, *render_combo_table(result.combos)])
