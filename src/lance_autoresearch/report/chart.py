"""The chart as data: where every mark, line and label stands in a drawing of a given size.

    chart = draw_chart(rows, curve, width=960, height=380)
    chart.marks[0]      # Mark(x=52.1, y=210.0, verdict='keep', title='trial 12, keep +41.7% ...')

Drawn twice, for wide and for narrow screens, so that letters keep their size. Trials that were
not measured (wrong, refused) stand in a lane of their own below the axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lance_autoresearch.ledger import Row
from lance_autoresearch.text.curve import Curve, Scale, choose_scale, find_overall_gain
from lance_autoresearch.text.plain_text import strip_text

LEFT, RIGHT, TOP, BOTTOM, LANE = 46.0, 54.0, 18.0, 30.0, 30.0
APART = 34.0
"""Pixels between two labels of kept trials; nearer ones get none."""
TIMES = "\u00d7"
WORDS = 160
"""Characters of an idea or a reason in a hover text."""


class Mark(NamedTuple):
    """One trial."""

    x: float
    y: float
    trial: int
    verdict: str
    title: str
    """Hover text; contains an agent's words."""


class ChartLabel(NamedTuple):
    """A short text at a place."""

    x: float
    y: float
    text: str


class Chart(NamedTuple):
    """All coordinates in pixels, origin at the top left."""

    width: float
    height: float
    left: float
    right: float
    top: float
    base: float
    """Bottom of the measured area."""
    lane: float
    """Middle of the lane for trials that were not measured."""
    has_lane: bool
    rows: list[ChartLabel]
    """Horizontal grid lines with their labels."""
    columns: list[ChartLabel]
    """Labels of the trial axis."""
    start: float
    """Height of speed 1."""
    line: str
    """SVG path of the best so far."""
    area: str
    """The same, closed below."""
    marks: list[Mark]
    keeps: list[ChartLabel]
    end: ChartLabel
    log: bool


def draw_chart(rows: Sequence[Row], curve: Curve, *, width: float, height: float) -> Chart:
    """Place everything. `curve` belongs to `rows`; both may be empty."""
    axis = choose_scale(curve)
    unmeasured = any(dot is None for dot in curve.dots)
    right = width - RIGHT
    base = height - BOTTOM - (LANE if unmeasured else 0.0)
    lane = base + 0.5 * LANE + 3
    step = (right - LEFT) / max(1, len(rows))

    def place_x(place: int) -> float:
        return round(LEFT + step * place, 1)

    def place_y(speed: float) -> float:
        return round(base - axis.compute_height(speed) * (base - TOP), 1)

    marks = [
        Mark(
            place_x(i + 1),
            lane if dot is None else place_y(dot),
            row.id,
            str(row.record.verdict),
            format_title(row),
        )
        for i, (row, dot) in enumerate(zip(rows, curve.dots, strict=True))
    ]
    path = _draw_path(
        [place_x(i) for i in range(len(rows) + 1)], [place_y(v) for v in (1.0, *curve.line)]
    )
    last = curve.line[-1] if curve.line else 1.0
    return Chart(
        width,
        height,
        LEFT,
        right,
        TOP,
        base,
        lane,
        unmeasured,
        [ChartLabel(LEFT, place_y(tick), f"{tick:g}{TIMES}") for tick in axis.ticks],
        _place_columns(len(rows), step),
        place_y(1.0),
        path,
        f"{path} V{base} H{LEFT} Z",
        _order_marks(marks),
        _label_keeps(marks, axis, TOP),
        ChartLabel(right + 6, place_y(last) + 4, f"{last:.2f}{TIMES}"),
        axis.log,
    )


def format_title(row: Row) -> str:
    """`trial 13: revert -27.45%. "scan with gathers" (slower)`."""
    record = row.record
    gain = find_overall_gain(record)
    found = "" if gain is None else f" {gain:+.2f}%"
    idea = f' "{strip_text(record.hypothesis, WORDS)}"' if record.hypothesis else ""
    reason = strip_text(record.reason.splitlines()[0] if record.reason else "", WORDS)
    return f"trial {row.id}: {record.verdict}{found}.{idea} ({reason})"


def _draw_path(xs: Sequence[float], ys: Sequence[float]) -> str:
    """Steps: flat to the trial that changes it, then up or down."""
    parts = [f"M{xs[0]:g} {ys[0]:g}"]
    for place in range(1, len(xs)):
        if ys[place] != ys[place - 1]:
            parts.append(f"H{xs[place]:g} V{ys[place]:g}")
    return " ".join([*parts, f"H{xs[-1]:g}"])


def _place_columns(count: int, step: float) -> list[ChartLabel]:
    """About six round numbers along the axis."""
    if count == 0:
        return []
    sizes = [m * 10**p for p in range(6) for m in (1, 2, 5)]
    every = next(size for size in sizes if count / size <= 6)
    places = range(0, count + 1, every)
    return [ChartLabel(round(LEFT + step * place, 1), 0.0, str(place)) for place in places]


def _order_marks(marks: Sequence[Mark]) -> list[Mark]:
    """Kept trials last, so that nothing covers them."""
    return sorted(marks, key=lambda mark: mark.verdict == "keep")


def _label_keeps(marks: Sequence[Mark], axis: Scale, top: float) -> list[ChartLabel]:
    labels: list[ChartLabel] = []
    for mark in marks:
        if mark.verdict == "keep" and (not labels or mark.x - labels[-1].x >= APART):
            labels.append(ChartLabel(mark.x, max(top - 4, mark.y - 11), f"#{mark.trial}"))
    return labels
