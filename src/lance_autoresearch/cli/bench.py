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
    """Champion against Lance: the quotable figure, with its 99 % interval.

    The champion is the newest campaign's, else the one committed under targets/, else Lance's own
    code (which then measures the noise floor: the figure should be 0). The figure is written to the
    ledger, and `lar report` shows it.

    Args:
        target: name of the target.
        kernel: quote this file instead.
        tier: one CPU tier (native, avx512, avx2, scalar); by default each of the target's.
        pairs: pairs of fresh processes, each in a fresh layout.
        json: one object per tier.
    """
    from lance_autoresearch.bench.rig import Rig
    from lance_autoresearch.calibration.quote import quote, quote_block, quote_record
    from lance_autoresearch.campaign.subject import committed_champion, newest
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.host.kernel_file import read_kernel
    from lance_autoresearch.host.live import Live
    from lance_autoresearch.host.phases import Phases
    from lance_autoresearch.text.verdict_text import confirm_numbers

    root = checkout.find_root()
    campaign = None if kernel else newest(root, target)
    if kernel is not None:
        text: bytes | None = read_kernel(kernel)
    else:
        text = campaign.champion_text() if campaign else committed_champion(root, target)
    live = Live(enabled=not json)
    with live, Rig(root, target, champion=text, phases=Phases(live.show)) as rig:
        if tier is not None and tier not in rig.target.tiers:
            raise UsageError(f"{target} has no tier '{tier}'", allowed=rig.target.tiers)
        for name in rig.target.tiers if tier is None else (tier,):
            result = quote(rig, tier=name, pairs=pairs)
            kernel_blob = {"kernel": rig.champion_text}
            rig.ledger.append(quote_record(rig, name, result), blobs=kernel_blob)
            if json:
                body = {"v": 1, "target": target, "tier": name, **confirm_numbers(result)}
                print(json_module.dumps(body), flush=True)
            else:
                live.clear()
                print(quote_block(target, name, confirm_numbers(result)), flush=True)
    return 0
