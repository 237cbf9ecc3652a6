"""A champion's figure for people: which text, which tiers, measured and written to the ledger.

    with Coordinator(root, target, champion=choose_kernel(...)) as coordinator:
        for tier in choose_tiers(coordinator.bench, None):
            quote_tier(coordinator, tier, pairs=32)
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lance_autoresearch.bench import tiers
from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.calibration.machine_records import MachineRecord, save_record
from lance_autoresearch.calibration.quote import make_quote_record, measure_quote
from lance_autoresearch.campaign.coordinator import Coordinator
from lance_autoresearch.campaign.kernel_under_test import find_newest_campaign
from lance_autoresearch.errors import UsageError
from lance_autoresearch.host.kernel_file import read_kernel
from lance_autoresearch.host.machine import hash_host_identity
from lance_autoresearch.judge.job import hash_text
from lance_autoresearch.records import ConfirmResult
from lance_autoresearch.targets.champion import read_champion


def choose_kernel(
    root: Path, target: str, kernel: Path | None, tier: str | None, record: bool
) -> bytes | None:
    """The text to quote; None is Lance's own.

    Raises:
        UsageError: a record of another kernel than the champion, or of one tier, is asked for;
            the target has no champion to record.
    """
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


def choose_tiers(bench: Bench, tier: str | None) -> Sequence[str]:
    """The tiers to measure: the one asked for, else all that differ on this processor.

    Raises:
        UsageError: the target has no such tier, or this processor cannot run it.
    """
    known = bench.target.tiers
    if tier is None:
        return tiers.list_distinct(known, bench.opened.features)
    if tier not in known:
        raise UsageError(f"{bench.target.name} has no tier '{tier}'", allowed=known)
    if not tiers.is_present(tier, bench.opened.features):
        raise UsageError(f"this processor ({bench.machine['cpu_kind']}) cannot run tier '{tier}'",
                         allowed=tiers.list_distinct(known, bench.opened.features))
    return (tier,)


def quote_tier(coordinator: Coordinator, tier: str, pairs: int) -> ConfirmResult:
    """Measure the coordinator's champion against Lance at a tier; append the row."""
    bench, policy, champion = coordinator.bench, coordinator.policy, coordinator.champion_text
    result = measure_quote(bench, champion, policy, tier=tier, pairs=pairs)
    row = make_quote_record(bench, champion, policy, tier, result)
    coordinator.ledger.append(row, blobs={"kernel": champion})
    return result


def save_quotes(
    coordinator: Coordinator, results: dict[str, ConfirmResult], equal: Mapping[str, str]
) -> Path:
    """Write the figures as a record of this machine; returns its path.

    Args:
        equal: tiers that were not measured, with the one that is the same here.
    """
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
        equal=dict(equal),
    )
    return save_record(bench.root, found)
