"""progress.png: every trial of a campaign as a dot, and the best so far as a line.

Upward is faster. A kept trial multiplies the line by its gain over the champion of that moment
(see `curve`). The line shows the course of the run; it is not a quotable number: only
`lar bench` measures a champion against Lance itself. Trials that were not timed stand in a
lane below.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lance_autoresearch.records import TrialRecord, Verdict
from lance_autoresearch.text.curve import (
    Curve,
    Scale,
    choose_scale,
    compute_curve,
    find_overall_gain,
)
from lance_autoresearch.text.plain_text import strip_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, GRID = "#1f2328", "#59636e", "#e4e2db"
COLOURS = {
    Verdict.KEEP: "#1a7f37",
    Verdict.REVERT: "#8c959f",
    Verdict.INCORRECT: "#cf222e",
    Verdict.REJECTED: "#8250df",
    Verdict.INCONCLUSIVE: "#b07700",
}
MARKS = {
    Verdict.KEEP: "o",
    Verdict.REVERT: "o",
    Verdict.INCORRECT: "x",
    Verdict.REJECTED: "s",
    Verdict.INCONCLUSIVE: "D",
}
LANE = -0.07
"""Height of trials that were not timed; the measured ones lie between 0 and 1."""
DENSE = 150
"""From this number of trials on, dots are smaller and paler."""
WORDS = 44
"""Characters of an idea beside its dot."""
CHARACTER, LETTER_HEIGHT = 0.0060, 0.042
"""Size of a letter as a share of the drawing's width and height."""


class PictureLabel(NamedTuple):
    """An idea beside the dot that was kept for it; x is a share of the width."""

    x: float
    y: float
    left: float
    right: float
    text: str

    def has_overlap(self, other: PictureLabel) -> bool:
        """Whether both would be written over each other."""
        beside = self.right < other.left or other.right < self.left
        return not beside and abs(self.y - other.y) < LETTER_HEIGHT


def draw_picture(trials: Sequence[TrialRecord], path: Path, title: str) -> Path:
    """Write the picture (1600 x 800 px). `trials` oldest first; an empty campaign is drawn too."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curve = compute_curve(trials)
    axis = choose_scale(curve)
    figure = Figure(figsize=(10, 5), dpi=160)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.06, 0.1, 0.87, 0.72))
    _draw_line(axes, curve, axis)
    _draw_dots(axes, trials, curve, axis)
    _draw_labels(axes, place_labels(trials, curve, axis))
    _draw_frame(axes, axis, len(trials), any(dot is None for dot in curve.dots))
    figure.text(0.06, 0.94, strip_text(title, 100), fontsize=12, color=INK, weight="bold",
                parse_math=False)
    if trials:
        axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=5, frameon=False,
                    fontsize=8.5, labelcolor=MUTED, handletextpad=0.2, columnspacing=1.6)
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # Ideas may hold any letter; one that the font lacks is drawn as an empty square.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(path)
    return path


def _draw_line(axes: Axes, curve: Curve, axis: Scale) -> None:
    heights = [axis.compute_height(speed) for speed in (1.0, *curve.line)]
    steps, green = range(len(heights)), COLOURS[Verdict.KEEP]
    axes.step(steps, heights, where="post", color=green, linewidth=2, zorder=3)
    axes.fill_between(steps, heights, step="post", color=green, alpha=0.07, linewidth=0)
    if curve.line:
        axes.annotate(f"{curve.line[-1]:.2f}x", (steps[-1], heights[-1]), xytext=(10, -4),
                      textcoords="offset points", fontsize=11, weight="bold", color=green,
                      annotation_clip=False)


def _draw_dots(axes: Axes, trials: Sequence[TrialRecord], curve: Curve, axis: Scale) -> None:
    dense = len(trials) > DENSE
    for verdict in Verdict:
        mine = [i for i, trial in enumerate(trials) if trial.verdict is verdict]
        kept = verdict is Verdict.KEEP
        heights = [
            LANE if (own := curve.dots[i]) is None else axis.compute_height(own) for i in mine
        ]
        style: dict[str, Any] = {"color": COLOURS[verdict], "marker": MARKS[verdict]}
        if MARKS[verdict] != "x":
            style |= {"edgecolors": "white" if kept else "none", "linewidths": 0.8}
        axes.scatter([i + 1 for i in mine], heights, s=42 if kept else 10 if dense else 26,
                     zorder=5 if kept else 4, alpha=1.0 if kept or not dense else 0.55,
                     label=f"{verdict} {len(mine)}", clip_on=False, **style)


def place_labels(trials: Sequence[TrialRecord], curve: Curve, axis: Scale) -> list[PictureLabel]:
    """Ideas of kept trials if there is room, the largest gains first.

    The line only climbs to a kept dot, so only stray dots lie left of it and above.
    """
    kept = [i for i, t in enumerate(trials) if t.verdict is Verdict.KEEP and t.hypothesis]
    placed: list[PictureLabel] = []
    for i in sorted(kept, key=lambda i: -(find_overall_gain(trials[i]) or 0.0)):
        made = _place_label(strip_text(trials[i].hypothesis, WORDS), (i + 1) / len(trials),
                      axis.compute_height(curve.line[i]))
        below = axis.compute_height(curve.line[min(len(trials), int(made.right * len(trials))) - 1])
        crosses = made.right * len(trials) > i + 1 and below > made.y - 0.5 * LETTER_HEIGHT
        if not crosses and not any(made.has_overlap(other) for other in placed):
            placed.append(made)
    return placed


def _place_label(text: str, x: float, y: float) -> PictureLabel:
    """Ends at its dot; begins at the left edge if it would stand out there."""
    width = CHARACTER * len(text)
    right = max(x - 0.008, width + 0.006)
    return PictureLabel(right, y + 0.022, right - width, right, text)


def _draw_labels(axes: Axes, placed: Sequence[PictureLabel]) -> None:
    for label in placed:
        axes.text(label.x, label.y, label.text, transform=axes.get_yaxis_transform(), ha="right",
                  fontsize=7, color=MUTED, zorder=6, parse_math=False)


def _draw_frame(axes: Axes, axis: Scale, count: int, lane: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    low = 2 * LANE if lane else 0.0
    axes.set_xlim(0, max(1, count))
    axes.set_ylim(low, 1.0)
    axes.set_yticks([axis.compute_height(tick) for tick in axis.ticks],
                    [f"{tick:g}x" for tick in axis.ticks])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.tick_params(length=0, labelsize=9, labelcolor=MUTED)
    axes.set_xlabel("trial", fontsize=9, color=MUTED)
    words = "speed against the starting kernel, keeps multiplied" + (" (log)" if axis.log else "")
    axes.set_ylabel(words, fontsize=9, color=MUTED)
    axes.grid(True, axis="y", color=GRID, linewidth=0.7)
    axes.axhline(axis.compute_height(1.0), color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
    if lane:
        axes.axhline(0, color=GRID, linewidth=0.7)
        axes.text(1.008, LANE, "not timed", transform=axes.get_yaxis_transform(), fontsize=7.5,
                  color=MUTED, va="center")
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
