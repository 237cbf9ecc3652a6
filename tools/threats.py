#!/usr/bin/env python3
"""The threat model as attempts that are made: reads docs/threats.toml, runs what it names.

    python tools/threats.py             is every row of the catalogue covered, does each file exist
    python tools/threats.py --record    run every cheat and every named test; write the date and
                                        what stopped each to docs/figures/threats.json; run again
                                        after it was ended, it goes on; about ten minutes
    python tools/threats.py --record _toy/zeros tests/ledger/test_ledger.py     these alone

A cheat names in its first line what is to stop it: `//! hack 36: ...; stopped by F`; a template
of targets/_toy/cheats gives one cheat for each op of the toy (`targets/cheats.py`). The stage or
fault that did stop it says which defences can have been at work (table STOPS); a stop by
another one is reported. If A stands beside others the cheat is judged a second time without
admission and audit, and one of the others must stop it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lance_autoresearch.bench.meter import Sides
    from lance_autoresearch.bench.pools import Pool
    from lance_autoresearch.campaign.coordinator import Coordinator
    from lance_autoresearch.targets.cheats import Cheat

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = ROOT / "docs" / "threats.toml"
RECORD = ROOT / "docs" / "figures" / "threats.json"
ROWS = range(1, 79)

STOPS: Mapping[str, str] = {
    "admission": "A",
    "audit": "A",
    "sandbox": "B",
    "memory": "B",
    "timeout": "B",
    "signal": "BCFI",  # a guard page, a read-only page, the trapped counter, abort
    "panic": "EGKT",
    "poison": "FEG",
    "slack": "F",
    "late_write": "E",
    "arm": "ED",
    "mismatch": "EDFGKN",
    "confirmation": "R",
    "distinct": "D",
    "no gain": "O",
    "stack": "B",
    "processor_state": "P",
}
"""Which defences can have been at work where a trial ended so. A mismatch is always found by
comparing; tests in tests/judge/test_threats.py with `alone` in their name tell what exposed it."""


@functools.cache
def cheats(root: Path = ROOT) -> list[Cheat]:
    """Every committed cheat, those that are made from templates included."""
    from lance_autoresearch.targets import catalogue
    from lance_autoresearch.targets.cheats import load_cheats

    return [
        c for name in catalogue.list_targets(root, hidden=True) for c in load_cheats(root, name)
    ]


def threats() -> list[dict[str, Any]]:
    """The catalogue's rows as docs/threats.toml has them."""
    rows: list[dict[str, Any]] = tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))["threat"]
    return rows


def numbers(threat: Mapping[str, Any]) -> list[int]:
    """`"12, 46"` -> [12, 46]"""
    return [int(n) for n in threat["row"].split(",")]


def gaps() -> Iterator[str]:
    """What is missing or names nothing, one sentence each."""
    known = {c.name for c in cheats()}
    covered = [n for t in threats() for n in numbers(t)]
    for n in ROWS:
        if covered.count(n) != 1:
            yield f"row {n} stands {covered.count(n)} times in docs/threats.toml"
    named = {name for t in threats() for name in t.get("cheats", ())}
    for name in sorted(known - named):
        yield f"cheat {name} belongs to no row"
    for t in threats():
        if not (t.get("cheats") or t.get("tests") or t.get("reason")):
            yield f"row {t['row']} has neither an attempt nor a reason"
        for name in t.get("cheats", ()):
            if name not in known:
                yield f"row {t['row']}: no cheat {name}"
        for test in [*t.get("tests", ()), *_alone(t)]:
            if not _exists(test):
                yield f"row {t['row']}: no test {test}"


def _alone(threat: Mapping[str, Any]) -> list[str]:
    name = threat.get("alone", "")
    return [name if "::" in name else f"tests/judge/test_threats.py::{name}"] if name else []


def _exists(test: str) -> bool:
    file, _, name = test.partition("::")
    path = ROOT / file
    bare = name.partition("[")[0]
    return path.is_file() and (not name or f"def {bare}(" in path.read_text(encoding="utf-8"))


# ---- running -----------------------------------------------------------------------------


def stopped(
    coordinator: Coordinator, text: bytes, *, scan: bool = True, pairs: int = 1
) -> str:
    """Where a kernel's trial ends: a key of STOPS, `does not build`, or `passes`.

    Admission, build, audit, check, a pair on the epoch's pools, secret cases, a check on fresh
    pools: all that looks at outputs, nothing that looks at times.
    """
    from lance_autoresearch.bench.conductor import audit_object as audit_object
    from lance_autoresearch.bench.meter import KernelAtFault, Sides
    from lance_autoresearch.build.builder import build_bare_object
    from lance_autoresearch.errors import RejectedKernel
    from lance_autoresearch.judge.admission import admit, check_audit
    from lance_autoresearch.judge.check import check
    from lance_autoresearch.judge.extensions import check_features_guarded
    from lance_autoresearch.judge.secret_cases import check_secret_cases
    from lance_autoresearch.oracle import list_linked_names

    bench, stage = coordinator.bench, "admission"
    try:
        if scan:
            admit(text)
        stage = "does not build"
        built = bench.build(text)
        stage = "audit"
        if scan:
            linked = list_linked_names(bench.root, bench.target.name)
            check_audit(audit_object(bench.root, built.obj, built.so), text, linked)
            check_features_guarded(
                audit_object(bench.root, build_bare_object(bench.root, bench.target.name, text))
            )
    except RejectedKernel:
        return stage
    champion = bench.build(coordinator.champion_text)
    _, end = check(bench, built, champion)
    if end is not None:
        return str(end.fault.kind) if end.fault else str(end.verdict)
    sides = Sides(champion.so, built.so)
    try:
        meter = bench.make_meter([sides], bench.inputs.epoch.timed, coordinator.policy)
        for _ in range(pairs):
            meter.measure_pair()
    except KernelAtFault as caught:
        return str(caught.fault.kind)
    if (wrong := check_secret_cases(bench, built).end) is not None:
        return str(wrong.fault.kind) if wrong.fault else str(wrong.verdict)
    pools, _ = bench.inputs.make_fresh()
    if bench.check_library(built.so, "native", pools).fault is not None:
        return "confirmation"
    return only_where_inputs_repeat(coordinator, sides, pools)


def repeated_gain(
    coordinator: Coordinator, sides: Sides, pools: Sequence[Pool]
) -> float | None:
    """Gain in % over 4 valid pairs as screening plays them; None on a busy machine."""
    from lance_autoresearch.bench.meter import gather_pairs
    from lance_autoresearch.rules.confirmation import measure_bias

    meter = coordinator.bench.make_meter([sides], pools, coordinator.policy)
    pairs = []
    for _ in range(60):
        pairs.append(meter.measure_pair())
        if sum(pair.void is None for pair in pairs) == 4:
            return measure_bias(gather_pairs(meter, pairs), coordinator.policy).gain
    return None


def only_where_inputs_repeat(
    coordinator: Coordinator, sides: Sides, pools: Sequence[Pool]
) -> str:
    """`distinct`: faster only if inputs repeat; `no gain`: slower even there; `passes`;
    `undecided` on a busy machine.

    Asked only of what seems at least 50 % faster: so much shows on any machine.
    """
    from lance_autoresearch.judge.defences import measure_distinct
    from lance_autoresearch.records import Claim
    from lance_autoresearch.rules.defences import judge_distinct_inputs

    bench, policy = coordinator.bench, coordinator.policy
    gain = repeated_gain(coordinator, sides, pools)
    if gain is None:
        return "undecided"
    if gain < 50:
        return "no gain" if gain < 0 else "passes"
    distinct = bench.inputs.make_distinct()
    for _ in range(5):
        seen = measure_distinct(bench, sides, distinct, policy)
        if 2 * sum(pair.void is None for pair in seen.pairs) < len(seen.pairs):
            continue
        refused = judge_distinct_inputs(seen, Claim("all", gain), policy).rejected
        return "distinct" if refused else "passes"
    return "undecided"


def verdicts(coordinator: Coordinator, one: Cheat) -> Iterator[tuple[str, str, bool]]:
    """(circumstance, where it ended, whether that is the named defence) for one cheat."""
    text = one.text
    end = stopped(coordinator, text)
    yield "all on", end, bool(set(STOPS.get(end, "")) & set(one.by))
    rest = set(one.by) - {"A"}
    if "A" in one.by and rest:
        end = stopped(coordinator, text, scan=False)
        yield "without A", end, bool(set(STOPS.get(end, "")) & rest)


def tree() -> str:
    """Digest of everything an attempt depends on, edits that are not committed included."""
    parts = ["src", "rust", "targets", "tests", "tools/threats.py", "docs/threats.toml"]
    sha = hashlib.sha256()
    for words in (["ls-files", "-s"], ["diff", "HEAD"]):
        sha.update(subprocess.check_output(["git", *words, "--", *parts], cwd=ROOT))
    return sha.hexdigest()[:12]


class Log:
    """docs/figures/threats.json, written after every attempt: a run that was ended goes on."""

    def __init__(self, path: Path = RECORD) -> None:
        self.path = path
        self.data: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        self.tree, self.date = tree(), time.strftime("%Y-%m-%d")

    def done(self, kind: str, name: str) -> bool:
        """Whether an attempt ended as named on this very tree."""
        entry = self.data.get(kind, {}).get(name, {})
        return entry.get("tree") == self.tree and not bad(entry["ends"])

    def add(self, kind: str, name: str, ends: Mapping[str, str]) -> None:
        """Write down how an attempt ended."""
        entry = {"date": self.date, "tree": self.tree, "ends": dict(ends)}
        self.data.setdefault(kind, {})[name] = entry
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.data, indent=1, sort_keys=True) + "\n")

    def forget(self, kind: str, names: Collection[str]) -> None:
        """Drop what does not exist any more."""
        kept = self.data.get(kind, {})
        self.data[kind] = {name: entry for name, entry in kept.items() if name in names}


def bad(ends: Mapping[str, str]) -> bool:
    """Whether an attempt got through, failed, or was stopped by accident."""
    return any(e.startswith("!") or e in ("failed", "undecided") for e in ends.values())


def run_cheats(root: Path, log: Log, only: Collection[str] = ()) -> None:
    """Judge the cheats that have not been judged yet; `!` in front of an end: by accident."""
    from lance_autoresearch.campaign.coordinator import Coordinator

    left = [c for c in cheats(root) if not log.done("cheats", c.id)]
    left = [c for c in left if not only or {c.id, c.name} & set(only)]
    for target in sorted({c.target for c in left}):
        with Coordinator(root, target) as coordinator:
            for one in (c for c in left if c.target == target):
                found = verdicts(coordinator, one)
                ends = {when: end if ok else f"!{end}" for when, end, ok in found}
                log.add("cheats", one.id, ends)
                print(f"{one.id:30} stopped by {one.by:4} {ends}", flush=True)


def run_tests(tests: Sequence[str], log: Log) -> None:
    """Run the named tests (ids or files), file by file; a skipped test counts as failed."""
    left = [t for t in tests if not log.done("tests", t)]
    for file in sorted({t.partition("::")[0] for t in left}):
        mine = [t for t in left if t.partition("::")[0] == file]
        command = [sys.executable, "-m", "pytest", "-rA", "--no-header", "--tb=no", *mine]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode > 1:
            print(done.stdout[-2000:] + done.stderr[-2000:], file=sys.stderr)
        said = re.findall(r"^(PASSED|FAILED|ERROR) (tests/\S+::.+?)(?: - .*)?$", done.stdout, re.M)
        for test in mine:
            within = (f"{test}::", f"{test}[")
            ends = {end for end, name in said if name == test or name.startswith(within)}
            end = "passed" if ends == {"PASSED"} else "failed"
            log.add("tests", test, {"": end})
            print(f"{test}: {end}", flush=True)


def record(only: Collection[str] = ()) -> int:
    """Run what has not been run on this tree. Exit code 1 if anything is not as named."""
    log = Log()
    tests = sorted({t for row in threats() for t in [*row.get("tests", ()), *_alone(row)]})
    log.forget("cheats", {c.id for c in cheats()})
    log.forget("tests", tests)
    run_cheats(ROOT, log, only)
    run_tests([t for t in tests if not only or t in only], log)
    wrong = [n for kind in ("cheats", "tests") for n, entry in log.data.get(kind, {}).items()
             if bad(entry["ends"])]
    for name in wrong:
        print(f"not as named: {name}", file=sys.stderr)
    return 1 if wrong else 0


# ---- the table in docs/results/threats.md ------------------------------------------------


def rows() -> list[tuple[str, ...]]:
    """(row, hack, defence, test, alone, last run) for tools/docs.py."""
    data = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
    return [_row(t, data) for t in threats()]


def _row(threat: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[str, ...]:
    names = list(threat.get("cheats", ()))
    tests = list(threat.get("tests", ()))
    shown = [f"`{n}.rs`" for n in names] + [f"`{t.removeprefix('tests/')}`" for t in tests]
    if threat.get("attempt"):
        shown.append(f"`{threat['attempt']}`")
    text = ", ".join(shown)
    if threat.get("reason"):
        text = f"{text}; {threat['reason']}" if text else threat["reason"]
    alone = "shown" if threat.get("alone") else "not shown"
    return (threat["row"], threat["hack"], threat["defence"], text, alone, _last(threat, data))


def _last(threat: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """Date of the oldest of a row's attempts, and where they ended."""
    names = set(threat.get("cheats", ()))
    wanted = [("cheats", c.id) for c in cheats() if c.name in names]
    wanted += [("tests", t) for t in [*threat.get("tests", ()), *_alone(threat)]]
    if not wanted:
        return "no attempt"
    entries = [data.get(kind, {}).get(name) for kind, name in wanted]
    if not all(entries):
        return "not run"
    date = min(entry["date"] for entry in entries)
    if any(bad(entry["ends"]) for entry in entries):
        return f"{date}: NOT AS NAMED"
    if threat["defence"] == "NONE":
        return f"{date}: OPEN"
    ends = [end for entry in entries for end in entry["ends"].values()]
    return f"{date}: {', '.join(dict.fromkeys(ends))}"


def main() -> int:
    """Check, or run and record."""
    if sys.argv[1:2] == ["--record"]:
        return record(sys.argv[2:])
    found = list(gaps())
    for line in found:
        print(line, file=sys.stderr)
    print(f"{len(threats())} entries cover {len(ROWS)} rows, {len(cheats())} cheats")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
