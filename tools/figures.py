#!/usr/bin/env python3
"""Measures the figures that METHODOLOGY.md shows, and writes them to docs/figures/.

    python tools/figures.py conductor     overhead go -> done, quiet and under load
    python tools/figures.py bias          A/A: the champion against its own copy, per target
    python tools/figures.py noise         whether pairs differ by their processes or their slices
    python tools/figures.py layout        Lance's own text against itself, linked in other layouts
    python tools/figures.py box           what audit and box cost; A/A in the box and out of it
    python tools/figures.py phases        seconds per phase: 30 null trials and 5 clear wins each

Run on a machine that is otherwise idle; each takes one to five minutes. Then run tools/docs.py.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import correlation

from lance_autoresearch.bench.conductor import Conductor, ensure_built
from lance_autoresearch.bench.rig import Rig
from lance_autoresearch.build.builder import build_kernel
from lance_autoresearch.campaign.subject import committed_champion
from lance_autoresearch.host import machine
from lance_autoresearch.host.phases import Phases
from lance_autoresearch.judge.admission import audit
from lance_autoresearch.judge.trial import Story, run_trial
from lance_autoresearch.records import Comparison, PairTimes, Verdict
from lance_autoresearch.rules import stats
from lance_autoresearch.rules.confirmation import aa_bias
from lance_autoresearch.rules.estimator import samples, valid_pairs
from lance_autoresearch.rules.policy import Policy
from lance_autoresearch.targets import catalogue

ROOT = Path(__file__).resolve().parent.parent
PHASES = ("admit", "build", "audit", "check", "compare", "fresh", "confirm", "python_cpu")


def write(
    name: str, note: str, head: list[str], rows: list[list[str]], command: str = ""
) -> None:
    """docs/figures/<name>.toml in the form tools/docs.py reads."""
    _write(name, f"{note} Measured on {machine.here_today(ROOT)}.", head, rows, command)


def add(name: str, note: str, head: list[str], rows: list[list[str]]) -> None:
    """The same, beside what other processors showed: the first column says which, and when."""
    this, path = machine.machine(), ROOT / "docs" / "figures" / f"{name}.toml"
    cpu = f"{this['cpu']} ({this['cpu_kind']})"
    old = tomllib.loads(path.read_text())["rows"] if path.is_file() else []
    others = [row for row in old if not row[0].startswith(f"{cpu}, ")]
    mine = [[f"{cpu}, {time.strftime('%Y-%m-%d')}", *row] for row in rows]
    _write(name, note, ["machine", *head], others + mine)


def _write(
    name: str, note: str, head: list[str], rows: list[list[str]], command: str = ""
) -> None:
    lines = [
        f"command = {json.dumps(command or f'python tools/figures.py {name}')}",
        f"note = {json.dumps(note, ensure_ascii=False)}",
        f"head = {json.dumps(head)}",
        "rows = [",
        *(f"    {json.dumps(row, ensure_ascii=False)}," for row in rows),
        "]",
    ]
    path = ROOT / "docs" / "figures" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    print(path.relative_to(ROOT))
    for row in rows:
        print("  " + "  ".join(row))


def conductor() -> None:
    """Empty slices through two alternating boxed workers."""
    program = ensure_built(ROOT) / "lar-conductor"
    rows = []
    for name, load in (("quiet", []), ("conductor's core busy", ["conductor"]),
                       ("workers' core busy", ["worker"])):
        command = [str(program), "selftest", "--seconds", "10"]
        command += ["--load", *load] if load else []
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seen = json.loads(done.stdout)
        go, arm = seen["go_done_ns"], seen["arm_ready_ns"]
        rows.append([name, f"{seen['slices']:,}", *(f"{go[p]:.0f}" for p in ("p1", "p50", "p99")),
                     f"{arm['p50'] / 1000:.1f}"])
    write("conductor", "Time from *go* to *done* of an empty slice, two workers in turn.",
          ["machine", "slices", "p1 ns", "p50 ns", "p99 ns", "arm to ready, p50 µs"], rows)


def bias(pairs: int = 64) -> None:
    """Lance's own code and the committed champion, each against a copy of its own library."""
    rows = []
    for target in catalogue.names(ROOT):
        for name, text in (("Lance", None), ("champion", committed_champion(ROOT, target))):
            with Rig(ROOT, target, champion=text) as rig:
                rows.append([f"{target}, {name}", *_bias(rig, pairs)])
    write("bias", "A/A: a kernel against its own copy. What is not zero here is our error.",
          ["kernel", "pairs", "bias", "99 % interval", "SD a pair", "noisiest combo", "s a pair"],
          rows)


def _bias(rig: Rig, pairs: int) -> list[str]:
    begun = time.monotonic()
    measured = rig.measure_aa(pairs)
    seconds = (time.monotonic() - begun) / pairs
    data, whole = samples(measured, rig.policy), aa_bias(measured, rig.policy)
    worst = max(data.combos, key=lambda s: stats.sd(s.values))
    return [
        f"{data.pairs} ({data.void} void)", f"{whole.gain:+.2f} %",
        f"{whole.low:+.2f} to {whole.high:+.2f} %",
        f"{100 * stats.sd(data.components[0].values):.2f} %",
        f"{100 * stats.sd(worst.values):.1f} % ({worst.name})", f"{seconds:.3f}",
    ]  # fmt: skip


def noise(pairs: int = 64) -> None:
    """Do processes differ, or only slices? What a pair's slices let expect, and what is seen."""
    rows = []
    for target in catalogue.names(ROOT):
        with Rig(ROOT, target, champion=committed_champion(ROOT, target)) as rig:
            rows.append([target, *_noise(rig.measure_aa(pairs), rig.policy)])
    add("noise", f"A/A of the champions, {pairs} pairs. Medians over the combos; expected is the "
        "error of a median of ten double rounds that differ as those of one process do. Were "
        "processes unlike, more would be seen than expected, and combos would go together.",
        ["kernel", "SD of a double round", "SD of a pair: expected", "seen",
         "mean correlation of two combos", "SD of a pair, all combos"], rows)  # fmt: skip


def _noise(measured: Comparison, policy: Policy) -> list[str]:
    data, valid = samples(measured, policy), valid_pairs(measured)
    combos = range(len(measured.combos))
    rounds = [stats.median([_spread(_doubles(p, c)) for p in valid]) for c in combos]
    count = len(_doubles(valid[0], 0))
    error = (math.pi / 2 / count) ** 0.5  # of a median of normal values, as a share of their SD
    seen = [_spread(sample.values) for sample in data.combos]
    alike = [correlation(a.values, b.values) for a, b in combinations(data.combos, 2)]
    middle = stats.median(rounds)
    shares = [f"{100 * share:.1f} %" for share in (middle, error * middle, stats.median(seen))]
    whole = stats.sd(data.components[0].values)
    return [*shares, f"{stats.mean(alike):+.2f}", f"{100 * whole:.2f} %"]


def _doubles(pair: PairTimes, combo: int) -> list[float]:
    """ln(champion / candidate) of each double round, empty slices subtracted."""
    sides = zip(pair.champion[combo], pair.candidate[combo], strict=True)
    logs = [math.log((a - pair.empty[0]) / (b - pair.empty[1])) for a, b in sides]
    return [(a + b) / 2 for a, b in zip(logs[::2], logs[1::2], strict=False)]


def _spread(values: Sequence[float]) -> float:
    """SD that the middle of the values lets expect."""
    return stats.MAD_TO_SD * stats.mad(values)


def layout(pairs: int = 32) -> None:
    """The identity null: what a shuffled layout costs, and that shuffling both sides is fair."""
    rows = []
    for target in catalogue.names(ROOT):
        for name, text in (("Lance", None), ("champion", committed_champion(ROOT, target))):
            with Rig(ROOT, target, champion=text) as rig:
                rows.append([f"{target}, {name}", *_layouts(rig, pairs)])
    add("layout", f"Gain of a kernel over its own text, {pairs} pairs, 99 % intervals.",
        ["kernel", "both as compiled", "one side shuffled", "both shuffled"], rows)


def _layouts(rig: Rig, pairs: int) -> list[str]:
    text = rig.champion_text + f"\n// {time.time()}\n".encode()
    candidate = build_kernel(ROOT, rig.target.name, text)
    assert rig.epoch
    shuffled = rig.layouts(candidate, pairs)
    sides = (
        [(rig.champion.so, candidate.so)] * pairs,
        [(rig.champion.so, other) for _, other in shuffled],
        shuffled,
    )
    return [_fair(rig, libraries) for libraries in sides]


def _fair(rig: Rig, libraries: Sequence[tuple[Path, Path]]) -> str:
    with rig.measuring():
        pairs = [rig.times(rig.pair(*sides, rig.epoch.timed)) for sides in libraries]
    bias = aa_bias(rig.comparison(pairs, floored=False), rig.policy)
    return f"{bias.gain:+.2f} % ({bias.low:+.2f} to {bias.high:+.2f})"


def box(couples: int = 32) -> None:
    """What audit and box cost, and whether the box biases a pair: both kinds by turns."""
    rows = []
    for target in catalogue.names(ROOT):
        with Rig(ROOT, target) as rig:
            audits = [_ms(lambda: audit(rig.audit_report(rig.champion))) for _ in range(21)]
            bare = Conductor(ROOT, box="none", core_a=rig.cores[0], core_b=rig.cores[1])
            sides = {rig.opened.box: rig.conductor, "none": bare}
            found: dict[str, list[PairTimes]] = {name: [] for name in sides}
            starts: dict[str, list[float]] = {name: [] for name in sides}
            with bare:
                for _ in range(couples):
                    for name, rig.conductor in sides.items():
                        pair = rig.pair(rig.champion.so, rig.champion.so, rig.epoch.timed)
                        found[name].append(rig.times(pair))
                        starts[name].append(pair.overhead["start_ms"])
            rig.conductor = sides[rig.opened.box]
            rows.append(_boxed(rig, rig.opened.box, audits, found, starts))
    write("box", "Audit of one object; a pair's two workers until both sleep; A/A in the box and "
          f"out of it, {couples} pairs each by turns (seccomp stands in both), 99 % intervals.",
          ["target", "audit ms", "start of 2 workers, ms: boxed", "bare", "a worker's box, ms",
           "A/A boxed", "A/A bare"], rows)


def _boxed(
    rig: Rig, name: str, audits: list[float], found: Mapping[str, list[PairTimes]],
    starts: Mapping[str, list[float]],
) -> list[str]:
    start = {side: stats.median(times) for side, times in starts.items()}
    both = (found[name], found["none"])
    biases = [aa_bias(rig.comparison(pairs, floored=False)) for pairs in both]
    return [
        rig.target.name, f"{stats.median(audits):.1f}", f"{start[name]:.2f} ({name})",
        f"{start['none']:.2f}", f"{(start[name] - start['none']) / 2:.2f}",
        *(f"{b.gain:+.2f} % ({b.low:+.2f} to {b.high:+.2f})" for b in biases),
    ]


def _ms(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begun)


def phases(nulls: int = 30, wins: int = 5) -> None:
    """Medians over whole trials; every kernel's text is new, so nothing is cached."""
    rows = []
    for target in catalogue.names(ROOT):
        champion = committed_champion(ROOT, target) or b""
        with Rig(ROOT, target) as rig:
            assert rig.epoch and rig.aa_sd
            for name, text, count in (("null", rig.champion_text, nulls),
                                      ("clear win", champion, wins)):
                rows.append(_medians(rig, f"{target}, {name}", text, count))
    write("phases", "Medians in seconds over 30 null trials (Lance's own text with a new comment) "
          "and 5 clear wins (the champion) a target; every text is compiled anew.",
          ["trial", "verdicts", "pairs", *PHASES[:-1], "whole", "Python's CPU"], rows)


def _medians(rig: Rig, name: str, text: bytes, count: int) -> list[str]:
    laps, wholes, pairs, verdicts = [], [], [], []
    for i in range(count):
        rig.phases = Phases()
        fresh = text + f"\n// {time.time()} {i}\n".encode()
        record = run_trial(rig, fresh, Story(kind="figures")).record
        laps.append(record.phases)
        wholes.append(record.seconds)
        pairs.append(record.numbers.get("gate", {}).get("pairs", 0))
        verdicts.append(record.verdict)
    seen = ", ".join(f"{verdicts.count(v)} {v}" for v in Verdict if v in verdicts)
    medians = [f"{stats.median([lap.get(p, 0.0) for lap in laps]):.2f}" for p in PHASES]
    whole = f"{stats.median(wholes):.2f}"
    return [name, seen, f"{stats.median(pairs):.0f}", *medians[:-1], whole, medians[-1]]


FIGURES = {"conductor": conductor, "bias": bias, "noise": noise, "layout": layout, "box": box,
           "phases": phases}  # fmt: skip


def main() -> None:
    """Run the figures asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", choices=list(FIGURES))
    for name in parser.parse_args().names:
        FIGURES[name]()


if __name__ == "__main__":
    main()
