"""progress.png: every trial of a campaign as a dot, and the best so far as a line.

Upward is faster. A kept trial multiplies the line by its confirmed gain over the champion of
that moment. The line is a guide to the night, not a quotable number: only `lar bench`
measures a champion against Lance itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from lance_autoresearch.records import TrialRecord, Verdict

COLOURS = {
    Verdict.KEEP: "#1a7f37",
    Verdict.REVERT: "#8c959f",
    Verdict.INCORRECT: "#cf222e",
    Verdict.REJECTED: "#8250df",
    Verdict.INCONCLUSIVE: "#bf8700",
}
MARKS = {
    Verdict.KEEP: "o",
    Verdict.REVERT: "o",
    Verdict.INCORRECT: "X",
    Verdict.REJECTED: "s",
    Verdict.INCONCLUSIVE: "D",
}


def speedups(trials: Sequence[TrialRecord]) -> tuple[list[float], list[float | None]]:
    """Best-so-far factor after each trial, and each trial's own factor (None: not measured).

    Factors are against the campaign's starting kernel; each trial's own factor is the best
    so far times its gain over the champion it was compared with.
    """
    best, line, dots = 1.0, [], []
    for trial in trials:
        own = None if trial.gain is None else best * factor(trial.gain)
        dots.append(own)
        if trial.verdict is Verdict.KEEP and own is not None:
            best = own
        line.append(best)
    return line, dots


def factor(gain: float) -> float:
    """Speed-up factor of a gain in %: time ratio champion / candidate, 25 % -> 1.25."""
    return 1.0 + gain / 100.0


def draw(trials: Sequence[TrialRecord], path: Path, title: str) -> Path:
    """Write the picture (1600 x 800 px). `trials` oldest first; an empty campaign is drawn too."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    line, dots = speedups(trials)
    figure = Figure(figsize=(10, 5), dpi=160)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    steps = range(len(trials) + 1)
    axes.step(steps, [1.0, *line], where="post", color=COLOURS[Verdict.KEEP], linewidth=2, zorder=2)
    low = min([1.0, *(d for d in dots if d is not None)])
    for verdict in Verdict:
        mine = [i for i, t in enumerate(trials) if t.verdict is verdict]
        if mine:
            heights = [low * 0.97 if (own := dots[i]) is None else own for i in mine]
            axes.scatter([i + 1 for i in mine], heights, s=36, zorder=3, color=COLOURS[verdict],
                         marker=MARKS[verdict], label=f"{verdict} ({len(mine)})")
    _label_keeps(axes, trials, line)
    _finish(axes, title)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _label_keeps(axes: object, trials: Sequence[TrialRecord], line: Sequence[float]) -> None:
    for i, trial in enumerate(trials):
        if trial.verdict is Verdict.KEEP and trial.hypothesis:
            words = trial.hypothesis if len(trial.hypothesis) <= 42 else trial.hypothesis[:41] + "…"
            axes.annotate(words, (i + 1, line[i]), xytext=(4, 7), fontsize=7,  # type: ignore[attr-defined]
                          textcoords="offset points", color="#57606a", parse_math=False)


def _finish(axes: object, title: str) -> None:
    from matplotlib.axes import Axes
    from matplotlib.ticker import MaxNLocator

    assert isinstance(axes, Axes)
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel("trial")
    axes.set_ylabel("speed against the starting kernel (x)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(y=0.12)
    axes.set_xlim(left=0)
    axes.grid(True, axis="y", color="#d0d7de", linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if math.isfinite(axes.get_ylim()[1]) and axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", frameon=False, fontsize=8)
