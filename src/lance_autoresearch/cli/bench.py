"""`lar bench`: the figure that may be quoted, per CPU tier."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING

from lance_autoresearch.host import checkout

if TYPE_CHECKING:
    from lance_autoresearch.records import ConfirmResult

RECORD_PAIRS = 16
"""Fewer pairs of a tier make no record: its intervals would be too wide to be compared."""


def measure_champion(
    target: str,
    *,
    kernel: Path | None = None,
    tier: str | None = None,
    pairs: int = 32,
    record: bool = False,
    json: bool = False,
) -> int:
    """Measure the champion against Lance: the figure to quote, with its 99 % interval.

    The champion is that of the newest campaign, else the one committed under targets/, else Lance's
    own code (the figure, which should be 0, then shows the noise floor). The figure is written to
    the ledger, and `lar report` shows it. Of tiers that are the same on this processor one is
    measured.

    Args:
        target: name of the target.
        kernel: quote this file instead.
        tier: one CPU tier (native, avx512, avx2, scalar); by default each of the target's.
        pairs: pairs of fresh processes, each in a fresh layout.
        record: quote the champion under targets/ at every tier and write the figures to a file in
            records/machines/ to be committed: the tables of README are made of these files.
        json: one object per tier.
    """
    from lance_autoresearch.bench import tiers
    from lance_autoresearch.calibration.quote import print_quote
    from lance_autoresearch.campaign import quoting
    from lance_autoresearch.campaign.coordinator import Coordinator
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.host.live import Live
    from lance_autoresearch.host.phases import Phases
    from lance_autoresearch.ledger.results_json import encode_confirm

    root = checkout.find_root()
    if record and pairs < RECORD_PAIRS:
        raise UsageError(f"{pairs} pairs are too few for a record", allowed=[f">= {RECORD_PAIRS}"])
    text = quoting.choose_kernel(root, target, kernel, tier, record)
    live = Live(enabled=not json)
    results: dict[str, ConfirmResult] = {}
    with live, Coordinator(root, target, champion=text, phases=Phases(live.show)) as coordinator:
        bench = coordinator.bench
        for name in quoting.choose_tiers(bench, tier):
            results[name] = result = quoting.quote_tier(coordinator, name, pairs)
            if json:
                body = {"v": 1, "target": target, "tier": name, **encode_confirm(result)}
                print(json_module.dumps(body), flush=True)
            else:
                live.clear()
                print(print_quote(target, name, result), flush=True)
        equal = tiers.find_equal(bench.target.tiers, bench.opened.features)
        if tier is None and equal and not json:
            print("\n".join(f"{name}: the same as {first} here" for name, first in equal.items()))
        if record:
            path = quoting.save_quotes(coordinator, results, equal)
            print(path.relative_to(root) if not json else json_module.dumps({"record": str(path)}))
    return 0
