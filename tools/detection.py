#!/usr/bin/env python3
"""One picture for a sceptic: what share of true gains each of two gates keeps.

    python tools/detection.py                       docs/detection.png and its table
    python tools/detection.py --out picture.png     the picture alone, elsewhere

Both gates judge the same recorded pairs, those of `lar calibrate` in this checkout's ledger:
`aa` trials (a true gain of 0 %) and `delay X` trials (a true gain of X %). Ours is the verdict
that was given. The original project's gate (tests/original_gate.py) gets the candidate's slices
of a trial, and as baseline once the champion's slices of the same trial, once those of the first
trial of its kind: it measured its baseline once.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from original_gate import keeps  # noqa: E402

from lance_autoresearch.campaign.calibration_rows import read_calibration_rows  # noqa: E402
from lance_autoresearch.errors import LarError  # noqa: E402
from lance_autoresearch.ledger import Ledger  # noqa: E402
from lance_autoresearch.ledger.pairs_json import decode_trial  # noqa: E402
from lance_autoresearch.records import Comparison, TrialKind, TrialRecord, Verdict  # noqa: E402
from lance_autoresearch.rules import stats  # noqa: E402
from lance_autoresearch.targets import catalogue  # noqa: E402

GATES = ("this gate", "original, fresh baseline", "original, baseline measured once")
COLOURS = ("#0b6e4f", "#c97b1a", "#a3243b")


@dataclass(frozen=True)
class Seen:
    """One trial: the true gain, and the gates that would have kept it."""

    gain: float
    kept: tuple[bool, bool, bool | None]
    """In the order of `GATES`; None: this trial is the stale baseline itself."""


def injected(record: TrialRecord) -> float | None:
    """True gain in %, or None for trials that are not part of the picture."""
    kind = TrialKind.parse(record.kind)
    if kind.load is not None or record.pairs_blob is None:
        return None
    return {"aa": 0.0, "delay": kind.effect}.get(kind.name)


def samples(comparison: Comparison, side: str) -> list[list[float]]:
    """ns a call of every slice of one side, [combo][slice]; void pairs left out."""
    out: list[list[float]] = [[] for _ in comparison.combos]
    for pair in comparison.pairs:
        if pair.void is None:
            for combo, ticks in enumerate(getattr(pair, side)):
                scale = pair.calls[combo] * comparison.ticks_per_ns
                out[combo] += [t / scale for t in ticks]
    return out


def judged(root: Path) -> Iterator[Seen]:
    """Every usable trial of the ledger under today's rules, judged by all gates."""
    rng = np.random.default_rng(1)
    baselines: dict[tuple[str, str, str], list[list[float]]] = {}
    with Ledger.open(root) as ledger:
        for record in read_calibration_rows(ledger, root, catalogue.list_targets(root)):
            gain = injected(record)
            decided = record.verdict in (Verdict.KEEP, Verdict.REVERT)
            if gain is None or not decided or record.pairs_blob is None:
                continue
            first = decode_trial(ledger.get_blob(record.pairs_blob)).pairs.screening
            mine, other = samples(first, "candidate"), samples(first, "champion")
            key = (record.target, record.kind, record.champion)
            stale = keeps(baselines[key], mine, rng) if key in baselines else None
            baselines.setdefault(key, other)
            yield Seen(gain, (record.verdict is Verdict.KEEP, keeps(other, mine, rng), stale))


Curve = list[tuple[float, int, int]]
"""(true gain in %, kept, trials), by gain."""


def curves(trials: list[Seen]) -> list[Curve]:
    """One curve a gate, in the order of `GATES`."""
    out: list[Curve] = []
    for gate in range(len(GATES)):
        counts: dict[float, list[bool]] = {}
        for trial in trials:
            if (kept := trial.kept[gate]) is not None:
                counts.setdefault(trial.gain, []).append(kept)
        out.append([(gain, sum(kept), len(kept)) for gain, kept in sorted(counts.items())])
    return out


def draw(found: list[Curve], path: Path) -> None:
    """Shares with exact 99 % bounds against the true gain."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    for i, (name, colour, curve) in enumerate(zip(GATES, COLOURS, found, strict=True)):
        x = np.array([gain for gain, _, _ in curve]) + 0.03 * (i - 1)
        y = np.array([100 * kept / n for _, kept, n in curve])
        ends = 100 * np.array(
            [stats.compute_exact_bounds(kept, n) for _, kept, n in curve]
        ).reshape(-1, 2)
        error = [np.maximum(0, y - ends[:, 0]), np.maximum(0, ends[:, 1] - y)]
        axes.errorbar(x, y, error, marker="o", capsize=3, color=colour, label=name)
    axes.axvline(0.5, color="0.6", linestyle=":", label="margin: less counts as nothing")
    axes.set(xlabel="true gain, %", ylabel="kept, % of trials (bars: exact 99 %)", ylim=(-3, 103))
    figure.legend(frameon=False, loc="outside upper center", ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def toml(found: list[Curve]) -> str:
    """The numbers of the picture as docs/figures/detection.toml."""
    head = ["true gain", *(f"kept by {name}" for name in GATES)]
    gains = sorted({gain for curve in found for gain, _, _ in curve})
    rows = []
    for gain in gains:
        cells = [f"{gain:g} %"]
        for curve in found:
            match = [(kept, n) for x, kept, n in curve if x == gain]
            cells.append(f"{match[0][0]} of {match[0][1]}" if match else "")
        rows.append(cells)
    lines = [f"    {json.dumps(row)}," for row in rows]
    about = ['command = "python tools/detection.py"', f"head = {json.dumps(head)}", "rows = ["]
    return "\n".join([*about, *lines, "]", ""])


def main() -> int:
    """Judge, draw, write. Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, help="write the picture here and no table")
    options = parser.parse_args()
    try:
        found = curves(list(judged(ROOT)))
    except LarError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if not found[0]:
        print("error: no calibration trials in the ledger\n  next: ./lar calibrate all --kind aa",
              file=sys.stderr)
        return 64
    draw(found, options.out or ROOT / "docs" / "detection.png")
    if options.out is None:
        figures = ROOT / "docs" / "figures"
        figures.mkdir(parents=True, exist_ok=True)
        (figures / "detection.toml").write_text(toml(found))
    print(toml(found), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
