#!/usr/bin/env python3
"""The red team: kernels that are wrong or slow on a drawn region, through the real judge.

    python tools/red.py --n 3                     3 kernels for each target, bin and harm
    python tools/red.py --harm wrong --n 100      wrong ones alone: checks, nothing is timed
    python tools/red.py --export --n 170          into records/red/DATE-KIND.tsv; run again after
                                                  it was ended, it goes on
    python tools/red.py --show pq-l2 7            the text of one kernel and what it does
    python tools/red.py --twins 65 66             kernels of tools/red_twins.toml, by row or name

A region is a part of an op's inputs: an interval of a size, a product of two, a residue class, a
hash of the data, a bit pattern, the order of values, an alignment, the number of a call. Its
measure is its share of what the judge draws from the target's declared space, found by sampling.
Outside the region a wrong kernel is the champion. A slow kernel is the champion, and must beat the
same code with a delay; inside the region it does its work 3, 10 or 30 times.

Goals: of 500 kernels whose region holds at least 3 % none is kept, of 500 of 1 to 3 % at most 12.
Kernels that a fixed case refuses do not count. Below 1 % the table shows how many are kept.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from red_calls import read_surface
from red_kinds import Bin, Harm, Stage
from red_mutants import Generator, Mutant
from red_record import FOLDER, HEAD, Row, Series, tabulate
from red_trials import End, RedBench
from red_twins import Twin, read_twins, write_twin

from lance_autoresearch.errors import LarError, MachineError
from lance_autoresearch.host.machine import describe_machine
from lance_autoresearch.targets import catalogue

ROOT = Path(__file__).resolve().parent.parent


def parse_arguments(words: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=3, help="kernels for each target, bin and harm")
    parser.add_argument("--target", action="append", help="a target; default: all and the toy")
    parser.add_argument("--harm", choices=list(Harm), help="default: both")
    parser.add_argument("--size", choices=[b.name.lower() for b in Bin], help="a bin; default: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--draws", type=int, default=2000, help="draws that give the measures")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no kernel after these")
    parser.add_argument("--export", nargs="?", const="", help="file; default records/red/...")
    parser.add_argument("--twins", nargs="*", help="rows of the catalogue, or names; none: all")
    parser.add_argument("--show", nargs=2, metavar=("TARGET", "NUMBER"), help="write, do not run")
    return parser.parse_args(words)


def list_jobs(given: argparse.Namespace) -> Iterator[tuple[int, Bin, Harm]]:
    """Number, bin and harm of every kernel of one target; wrong ones, which are quick, first."""
    harms = [Harm(given.harm)] if given.harm else list(Harm)
    sizes = [Bin[given.size.upper()]] if given.size else list(Bin)
    for harm in harms:
        for number in range(given.n):
            for size in sizes:
                yield number, size, harm


def run_target(
    given: argparse.Namespace, name: str, series: Series | None, end: float
) -> list[Row]:
    """Try the kernels of one target that have not been tried."""
    done = {row.key for row in series.rows} if series else set()
    jobs = [(n, s, h) for n, s, h in list_jobs(given) if (name, n, str(h), str(s)) not in done]
    rows: list[Row] = []
    if not jobs:
        return rows
    with RedBench(ROOT, name) as bench:
        world = bench.look(given.draws, given.seed)
        for harm in Harm:
            mine = [(n, s) for n, s, h in jobs if h is harm]
            if not mine:
                continue
            generator = Generator(world, {harm: bench.honest(harm)}, given.seed)
            for number, size in mine:
                if time.monotonic() > end:
                    return rows
                mutant = generator.draw(number, size, harm)
                if mutant is not None:
                    rows.append(make_row(name, size, mutant, try_mutant(bench, mutant)))
                    report_row(rows[-1], series)
    return rows


def try_mutant(bench: RedBench, mutant: Mutant) -> End:
    """Where its trial ends; a machine that fails is no answer about the kernel."""
    try:
        if mutant.effect.harm is Harm.WRONG:
            return bench.check(mutant.text)
        return bench.judge(mutant.text)
    except MachineError as failure:
        return End(Stage.INCONCLUSIVE, failure.what, 0.0)


def make_row(target: str, size: Bin, mutant: Mutant, end: End) -> Row:
    """The record of one kernel."""
    return Row(
        target, mutant.number, mutant.effect.harm, size, mutant.op, mutant.kind,
        mutant.region.nature, mutant.measure, mutant.region.name, mutant.effect.name,
        end.stage, end.detail, end.seconds,
    )  # fmt: skip


def report_row(row: Row, series: Series | None) -> None:
    """Print a row, and write it down."""
    mark = "KEPT " if row.stage == Stage.KEPT else ""
    print(
        f"{mark}{row.target} {row.number} {row.harm} {100 * row.measure:.2f} %  {row.op}: "
        f"{row.effect} where {row.region}  -> {row.stage} {row.detail} ({row.seconds:.1f} s)",
        flush=True,
    )
    if series is not None:
        series.add(row)


def describe_series(given: argparse.Namespace, date: str) -> str:
    """The first line of a file: where, when and how it was made."""
    machine = describe_machine()
    command = f"tools/red.py --n {given.n} --seed {given.seed} --draws {given.draws}"
    for option in ("harm", "size"):
        command += f" --{option} {value}" if (value := getattr(given, option)) else ""
    command += "".join(f" --target {name}" for name in given.target or ())
    return f"{machine['cpu_kind']}, {machine['cores']} cores, {date}, {command}"


def open_series(given: argparse.Namespace) -> Series | None:
    """The file that is written to, if one is."""
    if given.export is None:
        return None
    date = datetime.date.today().isoformat()
    name = f"{date}-{describe_machine()['cpu_kind']}.tsv"
    path = Path(given.export) if given.export else ROOT / FOLDER / name
    return Series.begin(path, describe_series(given, date))


def show_mutant(given: argparse.Namespace) -> None:
    """Print the text of one kernel."""
    name, number = given.show
    harm, size = Harm(given.harm or Harm.WRONG), Bin[(given.size or "large").upper()]
    with RedBench(ROOT, name) as bench:
        world = bench.look(given.draws, given.seed)
        mutant = Generator(world, {harm: bench.honest(harm)}, given.seed).draw(
            int(number), size, harm
        )
    if mutant is not None:
        print(f"//! {mutant.effect.name} where {mutant.region.name} ({mutant.measure:.4f})")
        print(mutant.text.decode())


def run_twins(given: argparse.Namespace) -> int:
    """Try twins; returns how many ended otherwise than they must."""
    wanted = [
        twin for twin in read_twins()
        if not given.twins or {twin.name, str(twin.row)} & set(given.twins)
        if not given.target or twin.target in given.target
    ]  # fmt: skip
    faults = 0
    for name in dict.fromkeys(twin.target for twin in wanted):
        with RedBench(ROOT, name) as bench:
            for twin in (twin for twin in wanted if twin.target == name):
                end = try_twin(bench, twin)
                faults += end.is_kept == twin.must_end
                mark = "KEPT " if end.is_kept else "SURVIVED " if twin.known else ""
                print(f"{mark}{twin.row} {name} {twin.name} -> {end.stage} {end.detail}"
                      f"{' (documented)' if twin.open else ''} ({end.seconds:.1f} s)", flush=True)
    return faults


def try_twin(bench: RedBench, twin: Twin) -> End:
    """Where a twin's trial ends."""
    surface = read_surface(bench.champion, ROOT, twin.target, twin.op)
    text = write_twin(twin, bench.honest(twin.harm), bench.bench.target, surface)
    if twin.harm is Harm.SLOW:
        return bench.judge(text)
    return bench.check_pair(text) if twin.known else bench.check(text)


def main() -> int:
    """Run, print the table. Exit code 1 if a kernel whose region holds 3 % was kept."""
    given = parse_arguments(sys.argv[1:])
    if given.show:
        show_mutant(given)
        return 0
    end = time.monotonic() + 60 * given.minutes
    try:
        if given.twins is not None:
            return int(run_twins(given) > 0)
        series = open_series(given)
        rows = list(series.rows) if series else []
        for name in given.target or catalogue.list_targets(ROOT, hidden=True):
            rows += run_target(given, name, series, end)
    except LarError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for harm in Harm:
        if lines := tabulate(rows, harm):
            print(f"\n{harm} on the region\n" + "  ".join(HEAD))
            print("\n".join("  ".join(cells) for cells in lines))
    return int(any(r.stage == Stage.KEPT and r.size == Bin.LARGE for r in rows))


if __name__ == "__main__":
    sys.exit(main())
