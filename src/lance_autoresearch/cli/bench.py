"""`lar bench`: the figure that may be quoted, per CPU tier."""

from __future__ import annotations

import json as json_module
from pathlib import Path

from lance_autoresearch.host import checkout


def bench(
    target: str,
    *,
    kernel: Path | None = None,
    tier: str | None = None,
    pairs: int = 32,
    json: bool = False,
) -> int:
    """Measure the champion against Lance: the figure to quote, with its 99 % interval.

    The champion is that of the newest campaign, else the one committed under targets/, else Lance's
    own code (the figure, which should be 0, then shows the noise floor). The figure is written to
    the ledger, and `lar report` shows it.

    Args:
        target: name of the target.
        kernel: quote this file instead.
        tier: one CPU tier (native, avx512, avx2, scalar); by default each of the target's.
        pairs: pairs of fresh processes, each in a fresh layout.
        json: one object per tier.
    """
    from lance_autoresearch.calibration.quote import print_quote, quote, quote_record
    from lance_autoresearch.campaign.coordinator import Coordinator
    from lance_autoresearch.campaign.subject import newest
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.host.kernel_file import read_kernel
    from lance_autoresearch.host.live import Live
    from lance_autoresearch.host.phases import Phases
    from lance_autoresearch.ledger.results_json import encode_confirm
    from lance_autoresearch.targets.champion import read_champion

    root = checkout.find_root()
    campaign = None if kernel else newest(root, target)
    if kernel is not None:
        text: bytes | None = read_kernel(kernel)
    else:
        text = campaign.champion_text() if campaign else read_champion(root, target)
    live = Live(enabled=not json)
    phases = Phases(live.show)
    with live, Coordinator(root, target, champion=text, phases=phases) as coordinator:
        bench, policy, champion = coordinator.bench, coordinator.policy, coordinator.champion_text
        if tier is not None and tier not in bench.target.tiers:
            raise UsageError(f"{target} has no tier '{tier}'", allowed=bench.target.tiers)
        for name in bench.target.tiers if tier is None else (tier,):
            result = quote(bench, champion, policy, tier=name, pairs=pairs)
            record = quote_record(bench, champion, policy, name, result)
            coordinator.ledger.append(record, blobs={"kernel": champion})
            if json:
                body = {"v": 1, "target": target, "tier": name, **encode_confirm(result)}
                print(json_module.dumps(body), flush=True)
            else:
                live.clear()
                print(print_quote(target, name, result), flush=True)
    return 0
