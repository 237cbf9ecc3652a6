#!/usr/bin/env python3
"""Tables of end-to-end verdicts, from the files that `lar integrate --record` writes.

    find_cell(root, "fsst")      README: the main class, in one cell
    describe_target("fsst")      a target's page: every class, alone and with other champions
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lance_autoresearch.integrate.classes import load_classes
from lance_autoresearch.integrate.record import is_current, read_records

ROOT = Path(__file__).resolve().parent.parent
NOTHING = "not yet measured"
FIGURES = ("faster", "slower", "no change", "not resolved")


def find_cell(root: Path, target: str) -> str:
    """`pq128-n16 +15.0 % [+13.1, +16.9], faster; zen3 2026-11-30`, or that there is none."""
    cells = []
    for record in read_records(root):
        if record["targets"] == [target]:
            main = load_classes(root, target, record["program_name"]).main
            for one in record["report"]["classes"]:
                if one["class"] == main:
                    cells.append(f"`{main}` {_describe(one)}; {_about(root, record)}")
    return "; ".join(cells) or NOTHING


def _about(root: Path, record: dict[str, Any]) -> str:
    about = f"{record['cpu_kind']} {record['date']}"
    return about if is_current(root, record) else f"{about}; *former champion*"


def _describe(one: dict[str, Any]) -> str:
    """Gain with its interval, and the effect."""
    if one["effect"] not in FIGURES or one["low"] is None:
        return str(one["effect"])
    effect = one["effect"]
    figure = f"{one['gain']:+.1f} % [{one['low']:+.1f}, {one['high']:+.1f}]"
    return f"{figure} **{effect}**" if effect in ("faster", "slower") else f"{figure} {effect}"


def describe_target(target: str, root: Path = ROOT) -> str:
    """A table for each record in which this target's champion takes part."""
    mine = [record for record in read_records(root) if target in record["targets"]]
    if not mine:
        return f"{NOTHING.capitalize()}: `./lar integrate {target} --all-classes --record`."
    return "\n\n".join(_page(root, record) for record in mine)


def _page(root: Path, record: dict[str, Any]) -> str:
    report = record["report"]
    names = " with ".join(f"`{name}`" for name in record["targets"])
    about = (
        f"**{names}** in Lance {record['lance']}, {record['origin']}, program "
        f"`{report['program'][:12]}`, {report['compared']} queries compared"
    )
    if not is_current(root, record):
        about += "; *former champion*"
    head = ["class", "Lance", "effect", "share of the kernel", "predicted", "A/A", "neutral"]
    rows = [_row(one) for one in report["classes"]]
    lines = [head, ["---"] * len(head), *rows]
    return about + "\n\n" + "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _row(one: dict[str, Any]) -> list[str]:
    predicted = one["predicted"]
    controls = one["controls"]
    return [
        f"`{one['class']}`",
        f"{one['lance_ns'] / 1e6:.2f} ms" if one["lance_ns"] else "",
        _describe(one),
        f"{100 * one['share']:.0f} %",
        "" if predicted is None else f"{predicted:+.1f} %",
        "; ".join(f"{c['alike']['gain']:+.1f} %" for c in controls),
        "; ".join(f"{c['routed']['gain']:+.1f} %" for c in controls),
    ]


if __name__ == "__main__":
    for name in ("fsst", "pq-l2", "topk-merge"):
        print(describe_target(name), end="\n\n")
