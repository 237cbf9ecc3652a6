"""The quotable number: a champion against Lance's own code, on everything unseen.

32 pairs, fresh secret pools at every combo's second size, the flags Lance is shipped with and a
fresh layout for each pair and side. Kept gains of a campaign are never multiplied into it.

    result = quote(rig, tier="native", pairs=32)
    result.components[0]        # all combos: gain, 99 % interval
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from lance_autoresearch.bench.rig import Rig
from lance_autoresearch.build import builder
from lance_autoresearch.host import machine_lock
from lance_autoresearch.judge.compare import times
from lance_autoresearch.records import Comparison, TrialRecord
from lance_autoresearch.rules.confirmation import ConfirmResult
from lance_autoresearch.rules.confirmation import confirm as confirm_rule
from lance_autoresearch.text.verdict_text import combo_table, confirm_numbers

QUOTE_PAIRS = 32
QUOTE_KIND = "quote"
"""Kind of the ledger's rows that hold a quoted figure."""


def quote(rig: Rig, *, tier: str = "native", pairs: int = QUOTE_PAIRS) -> ConfirmResult:
    """Champion against upstream at one CPU tier.

    Raises:
        MachineError: upstream's own library failed, so nothing can be said.
        Ended: the champion gave a wrong output on the unseen inputs.
    """
    comparison = measure(rig, rig.champion_text, tier=tier, pairs=pairs)
    return confirm_rule(comparison, None, "all", rig.policy)


def measure(rig: Rig, text: bytes, *, tier: str, pairs: int, flags: str = "quote") -> Comparison:
    """Raw pairs of a kernel (as candidate) against upstream (as champion)."""
    name = rig.target.name
    with rig.phases("build"), machine_lock.machine_lock("shared"):
        base = builder.build_upstream(rig.root, name, flags=flags)
        mine = builder.build_kernel(rig.root, name, text, flags=flags)
    with rig.phases("fresh"):
        pools, _ = rig.fresh_pools()
        with machine_lock.machine_lock("shared"):
            left = builder.relink_many(base, [secrets.randbits(32) for _ in range(pairs)])
            right = builder.relink_many(mine, [secrets.randbits(32) for _ in range(pairs)])
    found = []
    with rig.phases("compare"), rig.measuring():
        for sides in zip(left, right, strict=True):
            found.append(times(rig, rig.pair(*sides, pools, tier=tier)))
            rig.phases.say(f"pair {len(found)} of {pairs}")
    return rig.comparison(found, floored=False)


def quote_record(rig: Rig, tier: str, result: ConfirmResult) -> TrialRecord:
    """The ledger's row of a quoted figure: kind `quote`, compared with upstream, no campaign.

    It is no trial: nothing is kept or reverted by it. The report shows the newest.
    """
    overall = result.components[0]
    return TrialRecord(
        target=rig.target.name,
        verdict=result.verdict,
        reason=f"quoted against Lance at tier {tier}: {result.reason}",
        kernel=hashlib.sha256(rig.champion_text).hexdigest(),
        champion=hashlib.sha256(builder.first_kernel(rig.root, rig.target.name)).hexdigest(),
        kind=QUOTE_KIND,
        gain=overall.gain,
        low=overall.low,
        high=overall.high,
        numbers={"tier": tier, "confirm": confirm_numbers(result, rig.policy)},
        phases=rig.phases.total(),
        immutable=rig.immutable,
        machine=rig.machine,
        toolchain=rig.toolchain,
    )


def quote_block(target: str, tier: str, fields: Mapping[str, Any]) -> str:
    """The figure as it may be copied: gains as factors with 99 % bounds, then every combo."""
    lines = [
        f"{target} at tier {tier}: {component['name']} {1 + component['gain'] / 100:.3f}x "
        f"[{1 + component['low'] / 100:.3f} {1 + component['high'] / 100:.3f}]"
        for component in fields["components"]
    ]
    lines.append(f"against Lance's own code, {fields['pairs']} pairs (void {fields['void']}), 99 %")
    return "\n".join([*lines, *combo_table(fields["combos"])])
