"""The gate on many simulated nulls, with exact bounds: `python tests/simulate_gate.py --n 200000`.

Per noise model and layout it plays N sequences of a kernel that gains nothing, and N of one
that gains exactly the margin (the hardest null there is), and counts those the gate would call
proven: on a quiet machine, and on one so noisy that trials take as many pairs as they may. Prints
a table and, with --write, records it in tests/data/gate/simulation.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from gate_noise import NOISES, Noise, rarely_slow, two_sided
from gate_vectors import KEEP, Layout, aa_floors, confirmed, run

from lance_autoresearch.policy import DEFAULT
from lance_autoresearch.rules.stats import exact_bounds

RECORD = Path(__file__).parent / "data" / "gate" / "simulation.json"
LAYOUTS = {
    "1 combo": Layout((0,)),
    "4 combos, 2 ops": Layout((0, 0, 1, 1)),
    "9 combos": Layout((0,) * 9),
    "12 combos, 3 ops": Layout((0, 1, 2) * 4),
}
SD = 0.004
"""Of one combo, on a quiet machine."""
NOISY = 0.011
"""On a noisy one. There a trial takes `DEFAULT.fitted(NOISY)` pairs."""
CHUNK = 500
"""Sequences at a time: what a second-level cache holds."""
SLOWEST = 4
"""One sequence of so many where each takes 80 pairs: at the margin, on a noisy machine."""


def play(
    noise: Noise, layout: Layout, gain: float, count: int, seed: list[int], sd: float = SD
) -> dict[str, Any]:
    """Count the proven, those that confirmation keeps, intervals that miss, and pairs taken."""
    policy = DEFAULT.fitted(sd)
    proven = kept = missed = pairs = played = 0
    rng = np.random.default_rng(seed)
    while played < count:
        chunk = min(CHUNK, count - played)
        width = len(layout.op)
        floors = aa_floors(noise(rng, (chunk, 16, width), sd), layout)
        values = noise(rng, (chunk, policy.max_pairs, width), sd) + gain
        ends = run(values, layout, floors, policy)
        claims = Counter(ends.claim[ends.outcome == KEEP].tolist())
        proven += claims.total()
        for claim, times in claims.items():
            fresh = noise(rng, (times, policy.confirm_pairs, width), sd) + gain
            kept += int(confirmed(fresh, layout, claim, policy).sum())
        missed += int(((ends.low > gain) | (ends.high < gain)).any(axis=1).sum())
        pairs += int(ends.pairs.sum())
        played += chunk
    return {"proven": proven, "kept": kept, "missed": missed, "pairs": pairs / count, "n": count}


def rows(count: int) -> Iterator[dict[str, Any]]:
    """One row an SD, noise, gain and layout; `count` is split over the layouts."""
    noises = {**NOISES, "two_sided": two_sided, "rarely_slow": rarely_slow}
    gains = (0.0, DEFAULT.margin)
    cases = itertools.product((SD, NOISY), noises.items(), gains, LAYOUTS.items())
    seeds = itertools.product(range(2), range(len(noises)), range(2), range(len(LAYOUTS)))
    with ProcessPoolExecutor() as pool:
        jobs = []
        for (sd, (name, noise), gain, (label, layout)), seed in zip(cases, seeds, strict=True):
            about = {"sd": sd, "noise": name, "gain": gain, "layout": label}
            share = len(LAYOUTS) * (SLOWEST if sd == NOISY and gain else 1)
            played = (noise, layout, gain, count // share, [20261122, *seed], sd)
            jobs.append((about, pool.submit(play, *played)))
        for about, job in jobs:
            yield about | job.result()


def summary(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows added up over the layouts, with the exact 99 % bounds of the rate."""
    out = []
    for sd, noise, gain in dict.fromkeys((r["sd"], r["noise"], r["gain"]) for r in table):
        part = [r for r in table if (r["sd"], r["noise"], r["gain"]) == (sd, noise, gain)]
        proven, n = sum(r["proven"] for r in part), sum(r["n"] for r in part)
        low, high = exact_bounds(proven, n)
        out.append(
            {
                "sd": sd,
                "noise": noise,
                "gain_percent": 100 * gain,
                "sequences": n,
                "false_candidates": proven,
                "kept": sum(r["kept"] for r in part),
                "low": low,
                "high": high,
                "interval_misses": sum(r["missed"] for r in part),
                "mean_pairs": round(sum(r["pairs"] for r in part) / len(part), 2),
            }
        )
    return out


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, default=200_000, help="sequences per noise and gain")
    parser.add_argument("--write", action="store_true", help=f"record in {RECORD.name}")
    options = parser.parse_args()
    table = []
    for row in rows(options.n):
        table.append(row)
        about = f"{row['sd']} {row['noise']:11} {row['layout']:17}"
        print(f"  {about} proven {row['proven']}", file=sys.stderr)
    lines = summary(table)
    head = "noise        true gain   sequences  false   rate (exact 99 %)   kept    missed  pairs"
    print(f"SD     {head}")
    for s in lines:
        print(
            f"{s['sd']:.3f}  {s['noise']:12} {s['gain_percent']:8.1f}%  {s['sequences']:10,} "
            f"{s['false_candidates']:6}   {s['low']:.1e} .. {s['high']:.1e}  {s['kept']:5} "
            f"{s['interval_misses']:8} {s['mean_pairs']:6.1f}"
        )
    if options.write:
        command = f"python tests/simulate_gate.py --n {options.n} --write"
        body = {"command": command, "summary": lines, "rows": table}
        RECORD.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
