"""The gate on many simulated nulls, with exact bounds: `python tests/simulate_gate.py --n 200000`.

Per machine, noise model and layout it plays sequences of a kernel that gains nothing, and of one
that gains exactly the margin (the hardest null there is), and counts those the gate would call
proven. Each sequence has a session of its own: an A/A of 16 pairs that gives the floors and, as
`Policy.adapt_to_noise` does, the number of pairs. Prints a table and, with --write, records it in
tests/data/gate/simulation.json.
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
from gate_noise import ALONE, MACHINES, NOISES, Noise, of_champion
from gate_vectors import KEEP, Counts, Ends, Layout, aa_sds, confirmed, fitted, floors_of, run
from numpy.random import Generator

from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.rules.stats import compute_exact_bounds

RECORD = Path(__file__).parent / "data" / "gate" / "simulation.json"
LAYOUTS = {
    "1 combo": Layout((0,)),
    "4 combos, 2 ops": Layout((0, 0, 1, 1)),
    "9 combos": Layout((0,) * 9),
    "12 combos, 3 ops": Layout((0, 1, 2) * 4),
}
EVERY = NOISES | ALONE
SESSION_PAIRS = 16
"""Of a session's A/A, as in `bench/noise.py`."""
CHUNK = 500
"""Sequences at a time: what a second-level cache holds."""
SLOWEST = {"quiet": 1, "noisy": 4}
"""At the margin one sequence of this many is played: there nearly all take every pair they may."""
COUNTED = ("proven", "kept", "missed")


def sessions(
    noise: Noise, layout: Layout, count: int, rng: Generator, sd: float
) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], Counts, Counts]]:
    """Sessions in chunks: their floors, most pairs of a trial, pairs to confirm.

    Sorted by the number of pairs, so that a chunk draws hardly more than its sequences may take.
    """
    sizes = [min(CHUNK, count - at) for at in range(0, count, CHUNK)]
    shapes = [(size, SESSION_PAIRS, len(layout.op)) for size in sizes]
    reported = [aa_sds(of_champion(noise)(rng, shape, sd), layout) for shape in shapes]
    combos, whole = (np.concatenate(part) for part in zip(*reported, strict=True))
    most, confirm = fitted(whole[:, 0])
    order = np.argsort(most, kind="stable")
    for at in range(0, count, CHUNK):
        part = order[at : at + CHUNK]
        yield floors_of((combos[part], whole[part])), most[part], confirm[part]


def play(
    noise: Noise, layout: Layout, gain: float, count: int, seed: list[int], sd: float
) -> dict[str, Any]:
    """Count the proven, those that confirmation keeps, intervals that miss, and pairs taken.

    Args:
        gain: the truth, natural log ratio, of every combo.
        sd: of one combo, natural log ratio (`MACHINES`).
    Returns counts of sequences, and per sequence the mean of pairs taken and of pairs allowed.
    """
    rng, total = np.random.default_rng(seed), Counter[str]()
    for floors, most, confirm in sessions(noise, layout, count, rng, sd):
        values = noise(rng, (most.size, int(most.max()), len(layout.op)), sd) + gain
        ends = run(values, layout, floors, most=most)
        missed = ((ends.low > gain) | (ends.high < gain)).any(axis=1)
        total["proven"] += int((ends.outcome == KEEP).sum())
        total["missed"] += int(missed.sum())
        total["pairs"] += int(ends.pairs.sum())
        total["most"] += int(most.sum())
        for claim, pairs, times in candidates(ends, confirm):
            fresh = noise(rng, (times, pairs, len(layout.op)), sd) + gain
            total["kept"] += int(confirmed(fresh, layout, claim).sum())
    means = {name: total[name] / count for name in ("pairs", "most")}
    return {name: total[name] for name in COUNTED} | means | {"n": count}


def candidates(ends: Ends, confirm: Counts) -> list[tuple[int, int, int]]:
    """(claim, pairs of the confirmation, how many candidates) among sequences that ended."""
    proven = ends.outcome == KEEP
    groups = Counter(zip(ends.claim[proven].tolist(), confirm[proven].tolist(), strict=True))
    return [(claim, pairs, times) for (claim, pairs), times in sorted(groups.items())]


def rows(count: int) -> Iterator[dict[str, Any]]:
    """One row a machine, noise, gain and layout; `count` is split over the layouts."""
    gains = (0.0, DEFAULT.margin)
    cases = itertools.product(MACHINES.items(), EVERY.items(), gains, LAYOUTS.items())
    seeds = itertools.product(*(range(len(x)) for x in (MACHINES, EVERY, gains, LAYOUTS)))
    with ProcessPoolExecutor() as pool:
        jobs = []
        for ((machine, sd), (name, noise), gain, (label, layout)), seed in zip(
            cases, seeds, strict=True
        ):
            about = {"machine": machine, "sd": sd, "noise": name, "gain": gain, "layout": label}
            share = len(LAYOUTS) * (SLOWEST[machine] if gain else 1)
            played = (noise, layout, gain, count // share, [20261122, *seed], sd)
            jobs.append((about, pool.submit(play, *played)))
        for about, job in jobs:
            yield about | job.result()


def worst(part: list[dict[str, Any]], what: str) -> dict[str, Any]:
    """The layout in which `what` is most frequent, with its count; no name where it never is."""
    row = max(part, key=lambda r: r[what] / r["n"])
    name = row["layout"] if row[what] else ""
    return {"layout": name, "count": row[what], "per_10000": round(1e4 * row[what] / row["n"], 2)}


def summary(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows added up over the layouts, with the exact 99 % bounds of the rate; the worst layout."""
    out = []
    about = ("machine", "sd", "noise", "gain")
    for key in dict.fromkeys(tuple(r[a] for a in about) for r in table):
        part = [r for r in table if tuple(r[a] for a in about) == key]
        n, (machine, sd, noise, gain) = sum(r["n"] for r in part), key
        proven, kept, missed = (sum(r[c] for r in part) for c in COUNTED)
        low, high = compute_exact_bounds(proven, n)
        out.append(
            {
                "machine": machine,
                "sd": sd,
                "noise": noise,
                "gain_percent": 100 * gain,
                "sequences": n,
                "false_candidates": proven,
                "low": low,
                "high": high,
                "worst": worst(part, "proven"),
                "kept": kept,
                "worst_kept": worst(part, "kept"),
                "interval_misses": missed,
                "worst_misses": worst(part, "missed"),
                "mean_pairs": round(sum(r["pairs"] for r in part) / len(part), 2),
                "mean_most_pairs": round(sum(r["most"] for r in part) / len(part), 2),
            }
        )
    return out


def line_of(s: dict[str, Any]) -> str:
    """A line of `summary` as it is printed."""
    rate, most = f"{s['low']:.1e} .. {s['high']:.1e}", s["worst"]
    return (
        f"{s['machine']}  {s['noise']:12} {s['gain_percent']:8.1f}%  {s['sequences']:10,} "
        f"{s['false_candidates']:6}   {rate}  {most['per_10000']:8} {most['layout']:16} "
        f"{s['kept']:5} {s['interval_misses']:7} {s['mean_pairs']:6.1f} {s['mean_most_pairs']:5.1f}"
    )


def main() -> None:
    """Run, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--n", type=int, default=200_000, help="sequences per noise and gain")
    parser.add_argument("--write", action="store_true", help=f"record in {RECORD.name}")
    options = parser.parse_args()
    table = []
    for row in rows(options.n):
        table.append(row)
        about = f"{row['machine']} {row['noise']:12} {row['gain']:5} {row['layout']:17}"
        print(f"  {about} proven {row['proven']}", file=sys.stderr)
    lines = summary(table)
    print("machine, noise, true gain, sequences, false candidates, their rate (exact 99 %),")
    print("in the worst layout of 10,000, kept, intervals that miss, pairs taken and allowed")
    print("\n".join(line_of(s) for s in lines))
    if options.write:
        command = f"python tests/simulate_gate.py --n {options.n} --write"
        body = {"command": command, "summary": lines, "rows": table}
        RECORD.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
