#!/usr/bin/env python3
"""Winner's curse: does a kept gain persist with other seeds, on another day?

    python tools/again.py --keeps 24         measure 24 keeps again, append to records/again.tsv
    python tools/again.py --target pq-l2     of one target only
    python tools/again.py --campaigns        of the committed campaigns only
    python tools/again.py --report           measure nothing, sum the file up

Keeps come from the campaigns in records/ and from this checkout's ledger: of campaigns, and of
`lar calibrate --kind delay`, whose gain is real because it was put there. Those measured least
often come first, then the oldest.
It measures as confirmation does: as many pairs, on fresh secret inputs at every combo's second
size, a fresh layout a pair and side. A row holds the quoted gain, the new gain, the days between,
and the processors; run it on another day, and the file holds both. Ten seconds a keep.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from lance_autoresearch.bench.meter import measure_pairs
from lance_autoresearch.build import builder
from lance_autoresearch.campaign.coordinator import Coordinator
from lance_autoresearch.errors import LarError, MachineError
from lance_autoresearch.host.cpu_kinds import read_stored_kind
from lance_autoresearch.ledger import Ledger, Row, hash_bytes
from lance_autoresearch.ledger.export import load_records
from lance_autoresearch.records import ConfirmResult, TrialRecord, Verdict
from lance_autoresearch.rules import stats
from lance_autoresearch.rules.confirmation import confirm_claim

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "records" / "again.tsv"
FIGURE = ROOT / "docs" / "figures" / "again.toml"
LEVEL = 0.99


@dataclass(frozen=True)
class Kept:
    """A keep and its two kernels."""

    record: TrialRecord
    created: str
    quoted: tuple[float, float, float]
    """Gain over all combos with its interval, as confirmation had it; %."""
    champion: bytes
    kernel: bytes


@dataclass(frozen=True)
class Again:
    """One keep measured once more; gains over all combos in %, with 99 % intervals."""

    date: str
    days: int
    """Since the keep."""
    target: str
    kind: str
    kernel: str
    """Digest of its text, twelve digits."""
    quoted: float
    quoted_low: float
    quoted_high: float
    seen: float
    seen_low: float
    seen_high: float
    pairs: int
    machine: str
    quoted_on: str
    """Processor of the machine that kept it."""


def keeps(target: str | None, campaigns: bool = False) -> list[Kept]:
    """Every keep whose two kernels are still there, once, oldest first.

    Args:
        campaigns: none of this checkout's ledger.
    """
    mine = () if campaigns else _of_ledger()
    found = {kept.record.kernel: kept for kept in (*mine, *_of_records())}
    rows = [k for k in found.values() if target in (None, k.record.target)]
    return sorted(rows, key=lambda kept: kept.created)


def _of_ledger() -> Iterator[Kept]:
    with Ledger.open(ROOT) as ledger:
        yield from _kept(ledger.list_trials(verdict=Verdict.KEEP), ledger.find_blob)


def _of_records() -> Iterator[Kept]:
    for about in sorted((ROOT / "records").glob("*/campaign.json")):
        name = json.loads(about.read_text())["campaign"]["target"]
        lance = builder.compose_first_kernel(ROOT, name)
        found = load_records(about.parent, lance)
        kernels = {hash_bytes(lance): lance, **found.kernels}
        yield from _kept(found.trials, kernels.get)


def _kept(rows: Iterable[Row], text: Callable[[str], bytes | None]) -> Iterator[Kept]:
    """The keeps among some trials that have a figure and whose texts are found."""
    for row in rows:
        record = row.record
        confirmed = record.results.confirmation
        parts = () if confirmed is None else confirmed.components
        whole = next(((p.gain, p.low, p.high) for p in parts if p.name == "all"), None)
        champion, kernel = text(record.champion), text(record.kernel)
        if record.verdict is Verdict.KEEP and whole and champion is not None and kernel is not None:
            yield Kept(record, row.created, whole, champion, kernel)


def chosen(rows: Sequence[Kept], before: Sequence[Again], count: int) -> list[Kept]:
    """Those measured least often, oldest first, the targets in turn."""
    seen = Counter(again.kernel for again in before)
    order = sorted(rows, key=lambda row: seen[row.record.kernel[:12]])
    by_target: dict[str, list[Kept]] = {}
    for row in order:
        by_target.setdefault(row.record.target, []).append(row)
    turns = itertools.zip_longest(*by_target.values())
    picked = [row for turn in turns for row in turn if row is not None][:count]
    return sorted(picked, key=lambda row: row.record.target)


def measured(rows: Sequence[Kept]) -> Iterator[Again]:
    """Each keep once more; one that the machine fails is said and left out."""
    for row in rows:
        try:
            name = row.record.target
            with Coordinator(ROOT, name, champion=row.champion) as coordinator:
                seen = once_more(coordinator, row)
                yield line(row, seen, str(coordinator.bench.machine["cpu_kind"]))
        except MachineError as failure:
            name = f"{row.record.target} {row.record.kind}"
            print(f"{name}: not measured: {failure.what}", flush=True)


def once_more(coordinator: Coordinator, row: Kept) -> ConfirmResult:
    """The confirmation's pairs on fresh inputs and layouts."""
    bench = coordinator.bench
    noise = coordinator.find_noise() or coordinator.measure_noise()
    policy = coordinator.policy.adapt_to_noise(noise.aa_sd[-1])
    pools, _ = bench.inputs.make_fresh()
    champion, candidate = bench.build(row.champion), bench.build(row.kernel)
    layouts = bench.link_layouts(champion, candidate, policy.confirm_pairs)
    meter = bench.make_meter(layouts, pools, policy)
    with bench.hold_machine():
        found = measure_pairs(meter, len(layouts))
    return confirm_claim(found, None, "all", policy)


def line(row: Kept, result: ConfirmResult, machine: str) -> Again:
    """The fields of a row of the file."""
    record, whole, today = row.record, result.components[0], datetime.date.today()
    days = (today - datetime.date.fromisoformat(row.created[:10])).days
    now = (whole.gain, whole.low, whole.high)
    return Again(
        today.isoformat(), days, record.target, record.kind, record.kernel[:12],
        *(round(v, 3) for v in (*row.quoted, *now)), result.pairs, machine,
        read_stored_kind(record.machine),
    )  # fmt: skip


def read(path: Path) -> list[Again]:
    """Rows of the file; none if there is no file."""
    if not path.is_file():
        return []
    kinds = [str(f.type) for f in fields(Again)]
    make = {"int": int, "float": float, "str": str}
    rows = [line.split("\t") for line in path.read_text().splitlines()[1:]]
    return [Again(*(make[k](v) for k, v in zip(kinds, row, strict=True))) for row in rows]


def append(path: Path, again: Again) -> None:
    """One more row, with the head if the file is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = "" if path.is_file() else "\t".join(f.name for f in fields(Again)) + "\n"
    with path.open("a", encoding="utf-8") as file:
        file.write(head + "\t".join(str(v) for v in astuple(again)) + "\n")


def table(rows: Sequence[Again]) -> list[list[str]]:
    """How far quoted gains overstate what is seen later, as a ratio: a line a group of days.

    Another kind of machine is another question, whether a gain carries over, and a line of its own.
    """
    out = []
    here = [r for r in rows if r.machine == r.quoted_on]
    groups = {
        "same day": [r for r in here if not r.days],
        "later": [r for r in here if 0 < r.days < 7],
        "a week later or more": [r for r in here if r.days >= 7],
        "on another processor": [r for r in rows if r.machine != r.quoted_on],
    }
    for name, group in groups.items():
        if len(group) < 3:
            continue
        over = [100 * math.log((100 + r.quoted) / (100 + r.seen)) for r in group]
        error = stats.sd(over) / len(over) ** 0.5
        low, high = stats.compute_t_bounds(stats.mean(over), error, len(over) - 1, LEVEL)
        meet = sum(r.quoted_low <= r.seen_high and r.seen_low <= r.quoted_high for r in group)
        out.append([
            name, str(len({r.kernel for r in group})), str(len(group)),
            f"{stats.median([r.quoted for r in group]):+.2f} %",
            f"{stats.mean(over):+.3f} % [{low:+.3f} {high:+.3f}]",
            f"{max(over):+.2f} %", f"{meet} of {len(group)}",
        ])  # fmt: skip
    return out


def report(rows: Sequence[Again]) -> None:
    """Print the table and write it for docs/results/again.md."""
    head = ["measured again", "keeps", "times", "quoted, median", "overstated by, 99 %", "most",
            "intervals that meet"]  # fmt: skip
    body = table(rows)
    for cells in [head, *body]:
        print("  ".join(cells))
    text = [
        'command = "python tools/again.py"', f"head = {json.dumps(head)}", "rows = [",
        *(f"    {json.dumps(cells)}," for cells in body), "]",
    ]  # fmt: skip
    if body:
        FIGURE.write_text("\n".join(text) + "\n")


def main() -> int:
    """Measure, append, sum up. Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keeps", type=int, default=24)
    parser.add_argument("--target")
    parser.add_argument("--campaigns", action="store_true")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    try:
        if not options.report:
            rows = chosen(keeps(options.target, options.campaigns), read(FILE), options.keeps)
            if not rows:
                print("error: no keeps in the ledger\n  next: ./lar calibrate all --kind delay "
                      "--effect 2 --trials 8", file=sys.stderr)  # fmt: skip
                return 64
            for again in measured(rows):
                append(FILE, again)
                print(f"{again.target} {again.kind}: quoted {again.quoted:+.2f} %, now "
                      f"{again.seen:+.2f} % [{again.seen_low:+.2f} {again.seen_high:+.2f}]",
                      flush=True)  # fmt: skip
        report(read(FILE))
    except LarError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
