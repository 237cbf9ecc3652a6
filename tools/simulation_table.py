"""The table of simulated nulls, from tests/data/gate/simulation.json: for tools/docs.py."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent / "tests"
RECORD = TESTS / "data" / "gate" / "simulation.json"
COLUMNS = (
    "false candidates of 10,000, gain {} %: all layouts / worst",
    "kept, gain {} %",
    "intervals that miss, gain {} %: all / worst",
)
GAINS = ("0", "0.5")
HEAD = ("noise of a pair", *(column.format(gain) for gain in GAINS for column in COLUMNS))


def record() -> dict[str, Any]:
    """What `python tests/simulate_gate.py --write` wrote."""
    found: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return found


def noises() -> dict[str, str]:
    """Each noise model's name and the first line of its text."""
    tree = ast.parse((TESTS / "gate_noise.py").read_text(encoding="utf-8"))
    made = [f for f in tree.body if isinstance(f, ast.FunctionDef)]
    first = {f.name: (ast.get_docstring(f) or "").partition("\n")[0] for f in made}
    return {name: f"`{name}`: {text}" for name, text in first.items()}


def cells(line: dict[str, Any]) -> list[str]:
    """False candidates, kept and intervals that miss, of one noise, gain and machine."""
    n, worst = line["sequences"], line["worst"]
    false, where = 1e4 * line["false_candidates"] / n, f" ({worst['layout']})"
    missed, most = 100 * line["interval_misses"] / n, line["worst_misses"]["per_10000"] / 100
    return [
        f"{false:,.1f} / {worst['per_10000']:,.1f}{where if worst['layout'] else ''}",
        f"{line['kept']:,}",
        f"{missed:.2f} % / {most:.2f} %",
    ]


def tables() -> Iterator[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """(what it is about, head, rows) of each machine."""
    lines, text = record()["summary"], noises()
    for machine in dict.fromkeys(line["machine"] for line in lines):
        part = [line for line in lines if line["machine"] == machine]
        rows: dict[str, list[str]] = {}
        for line in part:
            rows.setdefault(line["noise"], [text[line["noise"]]]).extend(cells(line))
        played = {line["gain_percent"]: f"{line['sequences']:,}" for line in part}
        each = ", ".join(f"{n} at gain {gain:g} %" for gain, n in played.items())
        about = f"A {machine} machine, SD of a combo {100 * part[0]['sd']:g} % a pair; "
        about += f"sequences a noise: {each}."
        yield about, HEAD, [tuple(row) for row in rows.values()]
