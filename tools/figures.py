#!/usr/bin/env python3
"""Measures the figures that docs/results/ shows, and writes them to docs/figures/.

    python tools/figures.py conductor     overhead go -> done, quiet and under load
    python tools/figures.py bias          A/A: the champion against its own copy, per target
    python tools/figures.py noise         whether pairs differ by their processes or their slices
    python tools/figures.py layout        Lance's own text against itself, linked in other layouts
    python tools/figures.py sandbox       what audit and sandbox cost; A/A inside it and outside
    python tools/figures.py phases        seconds per phase: 30 null trials and 5 clear wins each

Run on a machine that is otherwise idle; each takes one to five minutes. Then run tools/docs.py.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import correlation

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.conductor import Conductor, PairResult, measure_overhead
from lance_autoresearch.bench.conductor import audit_object as audit_object
from lance_autoresearch.bench.inputs import draw_seed
from lance_autoresearch.bench.meter import Sides, gather_pairs, measure_pairs
from lance_autoresearch.bench.noise import measure_aa, measure_noise
from lance_autoresearch.build.builder import Built
from lance_autoresearch.host import machine
from lance_autoresearch.host.phases import Phases
from lance_autoresearch.judge.admission import check_audit
from lance_autoresearch.judge.job import Job
from lance_autoresearch.judge.judge import judge
from lance_autoresearch.oracle import list_linked_names
from lance_autoresearch.records import Comparison, NoiseSession, PairTimes, Verdict
from lance_autoresearch.records.trial import INSIDE
from lance_autoresearch.rules import stats
from lance_autoresearch.rules.confirmation import measure_bias
from lance_autoresearch.rules.estimator import compute_samples, select_valid_pairs
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.champion import read_champion

ROOT = Path(__file__).resolve().parent.parent
PHASES = ("admit", "build", "audit", "check", "compare", "fresh", "confirm", "python_cpu")


def write(
    name: str, note: str, head: list[str], rows: list[list[str]], command: str = ""
) -> None:
    """docs/figures/<name>.toml in the form tools/docs.py reads."""
    _write(name, f"{note} Measured on {machine.describe_origin(ROOT)}.", head, rows, command)


def add(name: str, note: str, head: list[str], rows: list[list[str]]) -> None:
    """The same, beside what other processors showed: the first column says which, and when."""
    this, path = machine.describe_machine(), ROOT / "docs" / "figures" / f"{name}.toml"
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


def measure_conductor() -> None:
    """Empty slices through two alternating workers in the sandbox."""
    rows = []
    for name, load in (("quiet", None), ("conductor's core busy", "conductor"),
                       ("workers' core busy", "worker")):
        seen = measure_overhead(ROOT, seconds=10, load=load)
        go, arm = seen["go_done_ns"], seen["arm_ready_ns"]
        rows.append([name, f"{seen['slices']:,}", *(f"{go[p]:.0f}" for p in ("p1", "p50", "p99")),
                     f"{arm['p50'] / 1000:.1f}"])
    write("conductor", "Time from *go* to *done* of an empty slice, two workers in turn.",
          ["machine", "slices", "p1 ns", "p50 ns", "p99 ns", "arm to ready, p50 µs"], rows)


def each_kernel(bench: Bench) -> Iterator[tuple[str, Built]]:
    """Lance's own code and the committed champion, each with its name."""
    yield "Lance", bench.build(bench.first_kernel)
    champion = read_champion(ROOT, bench.target.name)
    if champion is not None:
        yield "champion", bench.build(champion)


def measure_biases(pairs: int = 64) -> None:
    """Lance's own code and the committed champion, each against a copy of its own library."""
    rows = []
    for target in catalogue.list_targets(ROOT):
        with Bench(ROOT, target) as bench:
            for name, built in each_kernel(bench):
                rows.append([f"{target}, {name}", *_bias_row(bench, built, pairs)])
    write("bias", "A/A: a kernel against its own copy. A value other than zero is our error.",
          ["kernel", "pairs", "bias", "99 % interval", "SD a pair", "noisiest combo", "s a pair"],
          rows)


def _bias_row(bench: Bench, built: Built, pairs: int) -> list[str]:
    begun = time.monotonic()
    measured = measure_aa(bench, built.so, pairs, DEFAULT)
    seconds = (time.monotonic() - begun) / pairs
    data, whole = compute_samples(measured, DEFAULT), measure_bias(measured, DEFAULT)
    worst = max(data.combos, key=lambda s: stats.sd(s.values))
    return [
        f"{data.pairs} ({data.void} void)", f"{whole.gain:+.2f} %",
        f"{whole.low:+.2f} to {whole.high:+.2f} %",
        f"{100 * stats.sd(data.components[0].values):.2f} %",
        f"{100 * stats.sd(worst.values):.1f} % ({worst.name})", f"{seconds:.3f}",
    ]  # fmt: skip


def measure_noises(pairs: int = 64) -> None:
    """Whether processes differ or only slices: the spread that slices explain, and what is seen."""
    rows = []
    for target in catalogue.list_targets(ROOT):
        with Bench(ROOT, target) as bench:
            *_, (_, built) = each_kernel(bench)
            rows.append([target, *_noise_row(measure_aa(bench, built.so, pairs, DEFAULT))])
    add("noise", f"A/A of the champions, {pairs} pairs. Medians over the combos. *Expected* is the "
        "error of a median of ten double rounds that differ as much as those of one process. If "
        "processes differed, *seen* would exceed it, and combos would be correlated.",
        ["kernel", "SD of a double round", "SD of a pair: expected", "seen",
         "mean correlation of two combos", "SD of a pair, all combos"], rows)  # fmt: skip


def _noise_row(measured: Comparison) -> list[str]:
    data, valid = compute_samples(measured, DEFAULT), select_valid_pairs(measured)
    combos = range(len(measured.combos))
    rounds = [stats.median([_spread(_double_rounds(p, c)) for p in valid]) for c in combos]
    count = len(_double_rounds(valid[0], 0))
    error = (math.pi / 2 / count) ** 0.5  # of a median of normal values, as a share of their SD
    seen = [_spread(sample.values) for sample in data.combos]
    alike = [correlation(a.values, b.values) for a, b in combinations(data.combos, 2)]
    middle = stats.median(rounds)
    shares = [f"{100 * share:.1f} %" for share in (middle, error * middle, stats.median(seen))]
    whole = stats.sd(data.components[0].values)
    return [*shares, f"{stats.mean(alike):+.2f}", f"{100 * whole:.2f} %"]


def _double_rounds(pair: PairTimes, combo: int) -> list[float]:
    """ln(champion / candidate) of each double round, empty slices subtracted."""
    sides = zip(pair.champion[combo], pair.candidate[combo], strict=True)
    logs = [math.log((a - pair.empty[0]) / (b - pair.empty[1])) for a, b in sides]
    return [(a + b) / 2 for a, b in zip(logs[::2], logs[1::2], strict=False)]


def _spread(values: Sequence[float]) -> float:
    """SD estimated from the median absolute deviation."""
    middle = stats.median(values)
    return stats.MAD_TO_SD * stats.median([abs(value - middle) for value in values])


def measure_layouts(pairs: int = 32) -> None:
    """The identity null: what a shuffled layout costs, and that shuffling both sides is fair."""
    rows = []
    for target in catalogue.list_targets(ROOT):
        with Bench(ROOT, target) as bench:
            for name, built in each_kernel(bench):
                rows.append([f"{target}, {name}", *_layout_row(bench, built, pairs)])
    add("layout", f"Gain of a kernel over its own text, {pairs} pairs, 99 % intervals.",
        ["kernel", "both as compiled", "one side shuffled", "both shuffled"], rows)


def _layout_row(bench: Bench, built: Built, pairs: int) -> list[str]:
    shuffled = bench.link_layouts(built, built, pairs)
    sides = (
        [Sides(built.so, built.so)] * pairs,
        [Sides(built.so, both.candidate) for both in shuffled],
        shuffled,
    )
    return [_show_bias(_measure(bench, libraries)) for libraries in sides]


def _measure(bench: Bench, sides: Sequence[Sides]) -> Comparison:
    meter = bench.make_meter(sides, bench.inputs.epoch.timed, DEFAULT)
    with bench.hold_machine():
        return measure_pairs(meter, len(sides))


def _show_bias(comparison: Comparison) -> str:
    bias = measure_bias(comparison, DEFAULT)
    return f"{bias.gain:+.2f} % ({bias.low:+.2f} to {bias.high:+.2f})"


def measure_sandbox(couples: int = 32) -> None:
    """What audit and sandbox cost, and whether the sandbox biases a pair; both kinds alternate."""
    rows = []
    for target in catalogue.list_targets(ROOT):
        with Bench(ROOT, target) as bench:
            built = bench.build(bench.first_kernel)
            linked = list_linked_names(ROOT, target)
            work = lambda: check_audit(  # noqa: E731
                audit_object(ROOT, built.obj, built.so), b"", linked  # noqa: B023
            )
            audits = [_time_ms(work) for _ in range(21)]
            bare = Conductor(ROOT, box="none", core_a=bench.cores[0], core_b=bench.cores[1])
            sides = {bench.opened.box: bench.conductor, "none": bare}
            found: dict[str, list[PairResult]] = {name: [] for name in sides}
            with bare, bench.hold_machine():
                for _ in range(couples):
                    for name, conductor in sides.items():
                        found[name].append(_run_pair(bench, conductor, built))
            rows.append(_sandbox_row(bench, audits, found))
    write("sandbox", f"Audit of one object; time until both workers of a pair sleep; A/A in the "
          f"sandbox and outside of it, {couples} pairs each, alternating (seccomp is active in "
          "both), 99 % intervals.",
          ["target", "audit ms", "start of 2 workers, ms: sandbox", "bare", "one sandbox, ms",
           "A/A in the sandbox", "A/A bare"], rows)


def _run_pair(bench: Bench, conductor: Conductor, built: Built) -> PairResult:
    pools = [(pool.path, pool.expected) for pool in bench.inputs.epoch.timed]
    return conductor.measure_pair(
        built.so,
        built.so,
        pools,
        seed=draw_seed(),
        rounds=DEFAULT.rounds,
        slice_us=DEFAULT.slice_us,
    )


def _sandbox_row(
    bench: Bench, audits: list[float], found: Mapping[str, list[PairResult]]
) -> list[str]:
    name, meter = bench.opened.box, bench.make_meter((), (), DEFAULT)
    start = {k: stats.median([p.overhead["start_ms"] for p in v]) for k, v in found.items()}
    biases = [
        _show_bias(gather_pairs(meter, [p.times for p in found[k] if p.times is not None]))
        for k in (name, "none")
    ]
    return [
        bench.target.name, f"{stats.median(audits):.1f}", f"{start[name]:.2f} ({name})",
        f"{start['none']:.2f}", f"{(start[name] - start['none']) / 2:.2f}", *biases,
    ]  # fmt: skip


def _time_ms(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begun)


def measure_phases(nulls: int = 30, wins: int = 5) -> None:
    """Medians over whole trials; every kernel's text is new, so nothing is cached."""
    rows = []
    for target in catalogue.list_targets(ROOT):
        champion = read_champion(ROOT, target) or b""
        with Bench(ROOT, target) as bench:
            first = bench.first_kernel
            noise = measure_noise(bench, bench.build(first), first, DEFAULT)
            for name, text, count in (("null", first, nulls), ("clear win", champion, wins)):
                row = _phases_row(bench, noise, text, count)
                rows.append([f"{target}, {name}", *row])
    write("phases", f"Medians in seconds over {nulls} null trials (Lance's own text with a new "
          f"comment) and {wins} clear wins (the champion) a target; every text is compiled.",
          ["trial", "verdicts", "pairs", *PHASES[:-1], "whole", "Python's CPU"], rows)


def _phases_row(bench: Bench, noise: NoiseSession, text: bytes, count: int) -> list[str]:
    laps, pairs, verdicts = [], [], []
    for i in range(count):
        bench.phases = Phases()
        fresh = text + f"\n// {time.time()} {i}\n".encode()
        judged = judge(_null_job(bench, fresh, noise), bench)
        screening = judged.results.screening
        laps.append(judged.phases)
        pairs.append(screening.pairs if screening is not None else 0)
        verdicts.append(judged.verdict)
    seen = ", ".join(f"{verdicts.count(v)} {v}" for v in Verdict if v in verdicts)
    medians = [f"{stats.median([lap.get(p, 0.0) for lap in laps]):.2f}" for p in PHASES]
    whole = stats.median([sum(s for n, s in lap.items() if n not in INSIDE) for lap in laps])
    return [seen, f"{stats.median(pairs):.0f}", *medians[:-1], f"{whole:.2f}", medians[-1]]


def _null_job(bench: Bench, text: bytes, noise: NoiseSession) -> Job:
    """A trial against Lance's own code that measures it even if both are one program."""
    return Job(bench.target.name, text, bench.first_kernel, DEFAULT, noise=noise,
               measure_same_program=True)


FIGURES = {
    "conductor": measure_conductor,
    "bias": measure_biases,
    "noise": measure_noises,
    "layout": measure_layouts,
    "sandbox": measure_sandbox,
    "phases": measure_phases,
}


def main() -> None:
    """Measure the figures named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", choices=list(FIGURES))
    for name in parser.parse_args().names:
        FIGURES[name]()


if __name__ == "__main__":
    main()
