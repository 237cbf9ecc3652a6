"""`lar bench`: the figure that may be quoted, per CPU tier."""

from __future__ import annotations

import json as json_module
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lance_autoresearch.host import checkout

if TYPE_CHECKING:
    from lance_autoresearch.bench.bench import Bench
    from lance_autoresearch.campaign.coordinator import Coordinator
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
    from lance_autoresearch.calibration.quote import make_quote_record, measure_quote, print_quote
    from lance_autoresearch.campaign.coordinator import Coordinator
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.host.live import Live
    from lance_autoresearch.host.phases import Phases
    from lance_autoresearch.ledger.results_json import encode_confirm

    root = checkout.find_root()
    if record and pairs < RECORD_PAIRS:
        raise UsageError(f"{pairs} pairs are too few for a record", allowed=[f">= {RECORD_PAIRS}"])
    text = _choose_kernel(root, target, kernel, tier, record)
    live = Live(enabled=not json)
    results: dict[str, ConfirmResult] = {}
    with live, Coordinator(root, target, champion=text, phases=Phases(live.show)) as coordinator:
        bench, policy, champion = coordinator.bench, coordinator.policy, coordinator.champion_text
        for name in _choose_tiers(bench, tier):
            results[name] = result = measure_quote(bench, champion, policy, tier=name, pairs=pairs)
            row = make_quote_record(bench, champion, policy, name, result)
            coordinator.ledger.append(row, blobs={"kernel": champion})
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
            path = _save(coordinator, results, equal)
            print(path.relative_to(root) if not json else json_module.dumps({"record": str(path)}))
    return 0


def _choose_kernel(
    root: Path, target: str, kernel: Path | None, tier: str | None, record: bool
) -> bytes | None:
    """The text to quote; None is Lance's own."""
    from lance_autoresearch.campaign.kernel_under_test import find_newest_campaign
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.host.kernel_file import read_kernel
    from lance_autoresearch.targets.champion import read_champion

    if record and (kernel is not None or tier is not None):
        raise UsageError("--record is for the champion under targets/, at every tier",
                         next=f"./lar bench {target} --record")
    if kernel is not None:
        return read_kernel(kernel)
    campaign = None if record else find_newest_campaign(root, target)
    text = campaign.read_champion() if campaign else read_champion(root, target)
    if record and text is None:
        raise UsageError(f"{target} has no champion under targets/ to record",
                         next=f"./lar bench {target}")
    return text


def _choose_tiers(bench: Bench, tier: str | None) -> Sequence[str]:
    """The tiers to measure."""
    from lance_autoresearch.bench import tiers
    from lance_autoresearch.errors import UsageError

    known = bench.target.tiers
    if tier is None:
        return tiers.list_distinct(known, bench.opened.features)
    if tier not in known:
        raise UsageError(f"{bench.target.name} has no tier '{tier}'", allowed=known)
    if not tiers.is_present(tier, bench.opened.features):
        raise UsageError(f"this processor ({bench.machine['cpu_kind']}) cannot run tier '{tier}'",
                         allowed=tiers.list_distinct(known, bench.opened.features))
    return (tier,)


def _save(
    coordinator: Coordinator, results: dict[str, ConfirmResult], equal: dict[str, str]
) -> Path:
    """Write the figures as a record of this machine."""
    from lance_autoresearch.calibration.machine_records import MachineRecord, save_record
    from lance_autoresearch.host.machine import hash_host_identity
    from lance_autoresearch.judge.job import hash_text

    bench = coordinator.bench
    found = MachineRecord(
        target=bench.target.name,
        date=time.strftime("%Y-%m-%d"),
        host=hash_host_identity(),
        machine=bench.machine,
        toolchain=bench.toolchain,
        champion=hash_text(coordinator.champion_text),
        provenance=bench.provenance(coordinator.policy),
        tiers=results,
        equal=equal,
    )
    return save_record(bench.root, found)
