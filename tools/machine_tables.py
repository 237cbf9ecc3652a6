#!/usr/bin/env python3
"""Tables of champions against Lance, from the files that `lar bench --record` writes.

    champions()          README: a row a target, a column for each CPU kind that was measured
    target_page("fsst")  a target's page: every combo, at every tier, on each CPU kind

`tools/docs.py` calls both. A figure of another champion than today's, or by other rules, is marked;
so is a combo that is slower than Lance's own code.
"""

from __future__ import annotations

from pathlib import Path

from integration_tables import find_cell

from lance_autoresearch.calibration.machine_records import (
    MachineRecord,
    find_newest,
    find_staleness,
)
from lance_autoresearch.records import ComboRow, ConfirmResult, Estimate, Guard

ROOT = Path(__file__).resolve().parent.parent
NOTHING = "No figure is recorded yet: `./lar bench {} --record` on a quiet machine writes one."
SLOWER = "slower here"


def champions(root: Path = ROOT) -> str:
    """A row a target, a column a CPU kind: gain over Lance with its lower 99 % bound, by tier."""
    newest = find_newest(root)
    kinds = sorted({kind for _, kind in newest})
    if not kinds:
        return NOTHING.format("TARGET")
    rows = [
        [f"`{target}`", *(_cell(root, newest.get((target, kind))) for kind in kinds),
         find_cell(root, target)]
        for target in sorted({target for target, _ in newest})
    ]
    return _table(
        ["target", *(_kind_head(newest, kind) for kind in kinds), "end to end, in Lance"], rows
    )


def target_page(target: str, root: Path = ROOT) -> str:
    """A table for each CPU kind on which this target's champion was measured."""
    newest = find_newest(root)
    mine = [record for (name, _), record in sorted(newest.items()) if name == target]
    if not mine:
        return NOTHING.format(target)
    return "\n\n".join(_page(root, record) for record in mine)


def _kind_head(newest: dict[tuple[str, str], MachineRecord], kind: str) -> str:
    cpu = next(record.machine["cpu"] for (_, name), record in newest.items() if name == kind)
    return f"{kind} ({cpu})"


def _cell(root: Path, record: MachineRecord | None) -> str:
    """`1.42x [1.40]; scalar 1.15x [1.12]; 2026-11-30; slower here: scan8 16x256`."""
    if record is None:
        return "not measured"
    parts = [
        ("" if tier == "native" else f"{tier} ") + _factor(result.components[0])
        for tier, result in record.tiers.items()
    ]
    parts.append(record.date)
    for tier, result in record.tiers.items():
        if slow := [f"{row.combo.op} {row.combo.name}" for row in result.combos if _is_slower(row)]:
            where = "" if tier == "native" else f" at {tier}"
            parts.append(f"**{SLOWER}**{where}: {', '.join(slow)}")
    if stale := find_staleness(root, record):
        parts.append(f"*{stale}*")
    return "; ".join(parts)


def _page(root: Path, record: MachineRecord) -> str:
    tiers = list(record.tiers)
    machine = record.machine
    about = (
        f"**{record.cpu_kind}** ({machine['cpu']}, {machine['cores']} cores, host {record.host}), "
        f"{record.date}, Rust {record.toolchain}, {record.tiers['native'].pairs} pairs a tier, "
        f"champion `{record.champion[:12]}`"
    )
    if stale := find_staleness(root, record):
        about += f"; *{stale}*"
    rows = [
        [name, *(_find(record.tiers[tier], name) for tier in tiers)]
        for name in _names(record.tiers["native"])
    ]
    equal = [f"`{tier}` is `{first}` on this processor." for tier, first in record.equal.items()]
    return "\n\n".join([about, _table(["combo", *tiers], rows), *equal])


def _names(result: ConfirmResult) -> list[str]:
    combos = [f"{row.combo.op} {row.combo.name}" for row in result.combos]
    return [*combos, *(component.name for component in result.components)]


def _find(result: ConfirmResult, name: str) -> str:
    """The figure of a combo or a component, by its name."""
    for row in result.combos:
        if f"{row.combo.op} {row.combo.name}" == name:
            return _factor(row) + (f" **{SLOWER}**" if _is_slower(row) else "")
    return next(_factor(c) for c in result.components if c.name == name)


def _is_slower(row: ComboRow) -> bool:
    return row.guard is Guard.SLOWER or row.high < 0


def _factor(figure: ComboRow | Estimate) -> str:
    """Times as fast as Lance, with the lower end of the 99 % interval."""
    return f"{1 + figure.gain / 100:.2f}x [{1 + figure.low / 100:.2f}]"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


if __name__ == "__main__":
    print(champions())
