"""`lar replay`: a recorded trial again."""

from __future__ import annotations

import json as json_module
from pathlib import Path

from lance_autoresearch.host import checkout


def replay_recorded(trial: int, *, record: Path | None = None, json: bool = False) -> int:
    """Run a recorded trial again from its own bytes; report gate, kernel and gain separately.

    Exit code: 0 all three agree with the record, 1 one does not.

    Args:
        trial: its number in the ledger, or in the export that --record names.
        record: directory of an exported campaign, `records/<campaign>`.
        json: one object per part.
    """
    from lance_autoresearch import oracle
    from lance_autoresearch.campaign.replaying import load_from_ledger, load_from_records
    from lance_autoresearch.campaign.replaying import replay_trial as again
    from lance_autoresearch.host.live import Live

    root = checkout.find_root()
    oracle.fetch_upstream(root)
    recorded = load_from_records(root, record, trial) if record else load_from_ledger(root, trial)
    ok = True
    with Live(enabled=not json) as live:
        for part in again(root, recorded, live.show):
            ok &= part.ok
            live.clear()
            if json:
                body = {"v": 1, "part": part.what, "ok": part.ok, "detail": part.detail}
                print(json_module.dumps(body), flush=True)
            else:
                print(f"{part.what:8} {part.detail}", flush=True)
    return 0 if ok else 1
