"""A series of spoiled kernels as a file that travels, and the table made of all of them.

    Series.begin(path, about)     records/red/2026-12-01-zen3.tsv; an existing one is continued
    series.add(row)
    render_tables(folder, ...)    the tables of docs/results/red.md
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from red_kinds import Harm, Stage

from lance_autoresearch.errors import UsageError

COMMENT = "# "
FOLDER = "records/red"
OLDER = frozenset({Stage.FIXED, Stage.REFUSED})
"""Ends that do not count: a fixed case refuses such a kernel, or it is no kernel."""


@dataclass(frozen=True, slots=True)
class Row:
    """One kernel and how its trial ended."""

    target: str
    number: int
    harm: str
    size: str
    """Its bin: `3 to 10 %`."""
    op: str
    kind: str
    nature: str
    measure: float
    """Its region's share of the op's drawn calls."""
    region: str
    effect: str
    stage: str
    detail: str
    seconds: float

    @property
    def key(self) -> tuple[str, int, str, str]:
        """What no two rows of a series share."""
        return (self.target, self.number, self.harm, self.size)

    @property
    def counts(self) -> bool:
        """Whether it tests the drawn cases and the totals: nothing else has refused it."""
        return self.stage not in OLDER and self.stage != Stage.INCONCLUSIVE


class Series:
    """One file of rows, appended to as they are made."""

    def __init__(self, path: Path, rows: Sequence[Row]) -> None:
        self.path, self.rows = path, list(rows)

    @classmethod
    def begin(cls, path: Path, about: str) -> Series:
        """Open a file, or make one that begins with `about`.

        Raises:
            UsageError: it is no such file, or another command made it.
        """
        if path.exists():
            text = path.read_text(encoding="utf-8")
            if parse_about(text) != about:
                raise UsageError(
                    "it was made by another command", where=path.name,
                    allowed=[parse_about(text)], next="--export to another file",
                )  # fmt: skip
            return cls(path, parse_rows(text))
        path.parent.mkdir(parents=True, exist_ok=True)
        head = "\t".join(f.name for f in fields(Row))
        path.write_text(f"{COMMENT}{about}\n{head}\n", encoding="utf-8")
        return cls(path, [])

    def add(self, row: Row) -> None:
        """Append one row."""
        self.rows.append(row)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\t".join(_render_cell(v) for v in astuple(row)) + "\n")


def _render_cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return " ".join(str(value).split())


def parse_about(text: str) -> str:
    """How a file was made."""
    return text.partition("\n")[0].removeprefix(COMMENT)


def parse_rows(text: str) -> list[Row]:
    """The rows of a file. Raises UsageError if it is damaged."""
    names = [f.name for f in fields(Row)]
    lines = text.splitlines()
    if len(lines) < 2 or lines[1].split("\t") != names:
        raise UsageError("no series of the red team", where="line 2", allowed=["\t".join(names)])
    rows = []
    for number, line in enumerate(lines[2:], 3):
        cells = line.split("\t")
        if len(cells) != len(names):
            raise UsageError("not a kernel's line", where=f"line {number}")
        target, count, harm, size, op, kind, nature, measure, *text_, seconds = cells
        rows.append(Row(target, int(count), harm, size, op, kind, nature, float(measure),
                        *text_, float(seconds)))  # fmt: skip
    return rows


HEAD = ("region's share", "kernels", "refused by a fixed case", "count", "refused by", "kept",
        "of those that count")  # fmt: skip
EDGES = (0.001, 0.002, 0.005, 0.01, 0.03, 0.1)
"""Shares between which the table has its rows: those of the bins, and finer ones below 1 %."""


def tabulate(rows: Iterable[Row], harm: Harm) -> list[tuple[str, ...]]:
    """One row for each range of shares that has kernels, the largest first."""
    mine = [row for row in rows if row.harm == harm]
    found = []
    for low, high in reversed(list(itertools.pairwise(EDGES))):
        inside = [row for row in mine if low <= row.measure < high]
        if inside:
            found.append((f"{100 * low:g} to {100 * high:g} %", *_describe_rows(inside)))
    return found


def _describe_rows(rows: Sequence[Row]) -> tuple[str, ...]:
    counted = [row for row in rows if row.counts]
    kept = sum(row.stage == Stage.KEPT for row in counted)
    by = Counter(row.stage for row in counted if row.stage != Stage.KEPT)
    named = ", ".join(f"{stage} {n}" for stage, n in by.most_common()) or "-"
    share = f"{100 * kept / len(counted):.1f} %" if counted else "-"
    older = sum(row.stage in OLDER for row in rows)
    return (str(len(rows)), str(older), str(len(counted)), named, str(kept), share)


def render_tables(folder: Path, format_table: Callable[..., str]) -> str:
    """The tables of every series, newest first, as Markdown."""
    parts = []
    for path in sorted(folder.glob("*.tsv"), reverse=True):
        text = path.read_text(encoding="utf-8")
        rows, about = parse_rows(text), f"`{FOLDER}/{path.name}` ({parse_about(text)})"
        for harm in Harm:
            if lines := tabulate(rows, harm):
                parts.append(f"{about}, {harm} there:\n\n{format_table(HEAD, lines)}")
    return "\n\n".join(parts) or "(not measured yet)"
