"""Why a bundle may not be sent: everything that is unsettled, as data.

    for blocker in list_blockers(root, "hamming", gates):
        blocker.kind, blocker.what, blocker.next

Nothing here measures: verdicts come from records/, overlaps from upstream-overlaps.toml.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from lance_autoresearch.bundle.gates import GateResult, GateState
from lance_autoresearch.calibration.machine_records import MachineRecord, load_records
from lance_autoresearch.errors import UsageError
from lance_autoresearch.integrate.record import is_current, read_records
from lance_autoresearch.judge.job import hash_text
from lance_autoresearch.records.queries import Effect
from lance_autoresearch.targets.champion import read_champion

OVERLAPS = "upstream-overlaps.toml"
CPU_KINDS = 2
"""Kinds of processor that must have been measured: one alone was called overfitting upstream."""


UNFIT = (Effect.SLOWER, Effect.DIFFERS, Effect.FAILED)
"""No query class may come out so."""


class BlockerKind(StrEnum):
    """What is unsettled."""

    END_TO_END = "end-to-end"
    SLOWER = "slower"
    CPU_KINDS = "cpu-kinds"
    GATE = "gate"
    OVERLAP = "overlap"


@dataclass(frozen=True, slots=True)
class Blocker:
    """One reason against sending."""

    kind: BlockerKind
    what: str
    next: str


@dataclass(frozen=True, slots=True)
class Overlap:
    """An open request upstream on the same function."""

    request: int
    targets: tuple[str, ...]
    function: str
    what: str
    seen: str
    settled: str = ""
    """Why both can go in, written by a person; empty: not settled."""


def load_overlaps(root: Path) -> tuple[Overlap, ...]:
    """The list of the checkout. UsageError if it is faulty."""
    try:
        table = tomllib.loads((root / OVERLAPS).read_text(encoding="utf-8"))
        return tuple(Overlap(**{**one, "targets": tuple(one["targets"])})
                     for one in table.get("overlap", []))  # fmt: skip
    except (OSError, tomllib.TOMLDecodeError, TypeError, KeyError) as error:
        raise UsageError(f"cannot be read: {error}", where=OVERLAPS) from None


def select_machines(root: Path, target: str) -> dict[str, MachineRecord]:
    """CPU kind -> the newest figures of today's champion there."""
    champion = read_champion(root, target)
    digest = hash_text(champion) if champion is not None else ""
    return {
        record.cpu_kind: record for record in load_records(root)
        if record.target == target and record.champion == digest
    }  # fmt: skip


def select_end_to_end(root: Path, target: str) -> list[dict[str, Any]]:
    """Recorded whole-query verdicts of today's champion alone."""
    return [record for record in read_records(root)
            if record["targets"] == [target] and is_current(root, record)]  # fmt: skip


def list_blockers(root: Path, target: str, gates: Sequence[GateResult]) -> list[Blocker]:
    """Everything that is unsettled, in the order in which it is best settled."""
    machines = select_machines(root, target)
    return [
        *_check_overlaps(root, target),
        *_check_machines(target, machines),
        *_check_end_to_end(target, select_end_to_end(root, target)),
        *(Blocker(BlockerKind.GATE, f"{gate.name}: {gate.state}, {gate.about}", gate.next)
          for gate in gates if gate.state is not GateState.PASSED),
    ]  # fmt: skip


def _check_overlaps(root: Path, target: str) -> list[Blocker]:
    return [
        Blocker(BlockerKind.OVERLAP,
                f"request {one.request} is open on {one.function}: {one.what}",
                f'read it, then write settled = "..." in {OVERLAPS}')
        for one in load_overlaps(root) if target in one.targets and not one.settled
    ]  # fmt: skip


def _check_machines(target: str, machines: Mapping[str, MachineRecord]) -> list[Blocker]:
    found = []
    kinds = sorted({kind.removesuffix("-avx2") for kind in machines})
    if len(kinds) < CPU_KINDS:
        found.append(Blocker(
            BlockerKind.CPU_KINDS,
            f"measured on {', '.join(kinds) or 'no kind of processor'}, {CPU_KINDS} are needed",
            f"./lar bench {target} --record on another processor",
        ))  # fmt: skip
    for kind, record in machines.items():
        for tier, result in record.tiers.items():
            for row in result.combos:
                if row.high < 0.0:
                    found.append(Blocker(
                        BlockerKind.SLOWER,
                        f"{row.combo.label} is slower on {kind}, tier {tier}: {row.gain:+.1f} % "
                        f"[{row.low:+.1f} {row.high:+.1f}]",
                        f"./lar explain {target}",
                    ))  # fmt: skip
    return found


def _check_end_to_end(target: str, records: Sequence[Mapping[str, Any]]) -> list[Blocker]:
    following = f"./lar integrate {target} --all-classes --record"
    if not records:
        return [Blocker(BlockerKind.END_TO_END, "no verdict in whole queries of Lance", following)]
    found, faster = [], False
    for record in records:
        for one in record["report"]["classes"]:
            faster |= one["effect"] == Effect.FASTER
            if one["effect"] in UNFIT:
                found.append(Blocker(
                    BlockerKind.END_TO_END,
                    f"query class {one['class']} on {record['cpu_kind']}: {one['effect']}",
                    following,
                ))  # fmt: skip
        if record["report"]["fault"]:
            found.append(Blocker(BlockerKind.END_TO_END, f"on {record['cpu_kind']}: "
                                 f"{record['report']['fault']}", following))
    if not faster:
        found.append(Blocker(BlockerKind.END_TO_END, "no query class is faster", following))
    return found
