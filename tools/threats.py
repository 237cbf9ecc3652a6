#!/usr/bin/env python3
"""The threat model as attempts that are made: reads docs/threats.toml, runs what it names.

    python tools/threats.py             is every row of the catalogue covered, does each file exist
    python tools/threats.py --record    run every cheat and every named test; write the date and
                                        what stopped each to docs/figures/threats.json

A cheat names in its first line what is to stop it: `//! hack 36: ...; stopped by F`. The stage
or fault that did stop it says which defences can have been at work (table STOPS); a stop by
another one is reported. Where A stands beside others the cheat is judged a second time without
admission and audit, and one of the others must stop it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lance_autoresearch.evidence.build import Built
    from lance_autoresearch.evidence.pools import Pool
    from lance_autoresearch.judging.rig import Rig

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = ROOT / "docs" / "threats.toml"
RECORD = ROOT / "docs" / "figures" / "threats.json"
ROWS = range(1, 61)
HEAD = re.compile(
    r"//! hack (?P<rows>\d+(?: \d+)*): (?P<what>.+); stopped by (?P<by>[A-Z]( [A-Z])*)"
)

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
    "unseen": "D",
}
"""Which defences can have been at work where a trial ended so. A mismatch is always found by
comparing; the tests of tests/test_threats.py with `alone` in their name tell what exposed it."""


@dataclass(frozen=True, slots=True)
class Cheat:
    """A kernel that tries."""

    path: Path
    rows: tuple[int, ...]
    what: str
    by: str
    """Letters of the defences that are to stop it, in the order of its first line."""

    @property
    def name(self) -> str:
        """`pq-l2/nan-fill`"""
        return f"{self.path.parent.parent.name}/{self.path.stem}"


def cheats(root: Path = ROOT) -> list[Cheat]:
    """Every committed cheat. Raises ValueError for a first line that says nothing."""
    return [cheat(path) for path in sorted(root.glob("targets/*/cheats/*.rs"))]


def cheat(path: Path) -> Cheat:
    """One cheat from its first line."""
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    head = HEAD.fullmatch(first)
    if head is None:
        raise ValueError(f"{path.name}: first line must read `//! hack N: ...; stopped by X`")
    rows = tuple(int(n) for n in head["rows"].split())
    return Cheat(path, rows, head["what"], head["by"].replace(" ", ""))


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
    return [name if "::" in name else f"tests/test_threats.py::{name}"] if name else []


def _exists(test: str) -> bool:
    file, _, name = test.partition("::")
    path = ROOT / file
    bare = name.partition("[")[0]
    return path.is_file() and (not name or f"def {bare}(" in path.read_text(encoding="utf-8"))


# ---- running -----------------------------------------------------------------------------


def stopped(rig: Rig, text: bytes, *, scan: bool = True, pairs: int = 1) -> str:
    """Where a kernel's trial ends: a key of STOPS, `does not build`, or `passes`.

    Admission, build, audit, check, a pair on the epoch's pools, a check on fresh ones: all that
    looks at outputs, nothing that looks at times.
    """
    from lance_autoresearch.errors import RejectedKernel
    from lance_autoresearch.evidence.admit import admit, audit
    from lance_autoresearch.evidence.build import build_kernel
    from lance_autoresearch.judging.compare import times
    from lance_autoresearch.judging.ended import Ended
    from lance_autoresearch.judging.trial import Evidence, check

    stage, found = "admission", Evidence()
    try:
        if scan:
            admit(text)
        stage = "does not build"
        found.built = build_kernel(rig.root, rig.target.name, text)
        stage = "audit"
        if scan:
            audit(rig.audit_report(found.built))
        check(rig, found)
        for _ in range(pairs):
            times(rig, rig.pair(rig.champion.so, found.built.so, rig.epoch.timed))
        pools, _ = rig.fresh_pools()
        fault = rig.check(found.built.so, "native", pools).fault
        if fault is not None:
            return "confirmation"
        return only_where_inputs_repeat(rig, found.built, pools)
    except RejectedKernel:
        return stage
    except Ended as end:
        return end.fault.kind if end.fault else str(end.verdict)


def repeated_gain(rig: Rig, sides: tuple[Path, Path], pools: Sequence[Pool]) -> float | None:
    """Gain in % over 4 valid pairs as screening plays them; None on a busy machine."""
    from lance_autoresearch.judging.compare import times
    from lance_autoresearch.rules.confirmation import aa_bias

    pairs = []
    for _ in range(60):
        pairs.append(times(rig, rig.pair(*sides, pools)))
        if sum(pair.void is None for pair in pairs) == 4:
            return aa_bias(rig.comparison(pairs, floored=False)).gain
    return None


def only_where_inputs_repeat(rig: Rig, built: Built, pools: Sequence[Pool]) -> str:
    """`unseen`: faster only where inputs repeat; `passes`; `undecided` on a busy machine.

    Asked only of what seems at least 50 % faster: so much shows on any machine.
    """
    from lance_autoresearch.judging.compare import refuse_memory
    from lance_autoresearch.judging.ended import Ended

    sides = (rig.champion.so, built.so)
    gain = repeated_gain(rig, sides, pools)
    if gain is None:
        return "undecided"
    if gain < 50:
        return "passes"
    for _ in range(5):
        try:
            refuse_memory(rig, sides, pools, "all", gain)
        except Ended as end:
            if str(end.verdict) == "rejected":
                return "unseen"
            continue
        return "passes"
    return "undecided"


def verdicts(rig: Rig, one: Cheat) -> Iterator[tuple[str, str, bool]]:
    """(circumstance, where it ended, whether that is the named defence) for one cheat."""
    text = one.path.read_bytes()
    end = stopped(rig, text)
    yield "all on", end, bool(set(STOPS.get(end, "")) & set(one.by))
    rest = set(one.by) - {"A"}
    if "A" in one.by and rest:
        end = stopped(rig, text, scan=False)
        yield "without A", end, bool(set(STOPS.get(end, "")) & rest)


def run_cheats(root: Path) -> dict[str, dict[str, str]]:
    """Judge all cheats. Name -> circumstance -> where it ended (`!` in front: by accident)."""
    from lance_autoresearch.judging.rig import Rig

    found: dict[str, dict[str, str]] = {}
    all_of = cheats(root)
    for target in sorted({c.path.parent.parent.name for c in all_of}):
        with Rig(root, target) as rig:
            for one in (c for c in all_of if c.path.parent.parent.name == target):
                ends = {when: end if ok else f"!{end}" for when, end, ok in verdicts(rig, one)}
                found[one.name] = ends
                print(f"{one.name:30} stopped by {one.by:4} {ends}", flush=True)
    return found


def run_tests(tests: list[str]) -> dict[str, str]:
    """Test id (or file) -> passed or failed; a skipped test counts as failed."""
    command = [sys.executable, "-m", "pytest", "-rA", "--no-header", "--tb=no", *tests]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode > 1:
        print(done.stdout[-2000:] + done.stderr[-2000:], file=sys.stderr)
    ends = re.findall(r"^(PASSED|FAILED|ERROR) (tests/\S+::.+?)(?: - .*)?$", done.stdout, re.M)
    results = {}
    for test in tests:
        within = (f"{test}::", f"{test}[")
        mine = {end for end, name in ends if name == test or name.startswith(within)}
        results[test] = "passed" if mine == {"PASSED"} else "failed"
        print(f"{test}: {results[test]}", flush=True)
    return results


def record() -> int:
    """Run everything and write it down. Exit code 1 if anything got through."""
    tests = sorted({t for row in threats() for t in [*row.get("tests", ()), *_alone(row)]})
    data = {
        "date": time.strftime("%Y-%m-%d"),
        "cheats": run_cheats(ROOT),
        "tests": run_tests(tests),
    }
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    bad = [n for n, ends in data["cheats"].items() if any(e.startswith("!") for e in ends.values())]
    bad += [t for t, result in data["tests"].items() if result != "passed"]
    for name in bad:
        print(f"not as named: {name}", file=sys.stderr)
    return 1 if bad else 0


# ---- the table in SECURITY.md ------------------------------------------------------------


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
    ends = [e for n in threat.get("cheats", ()) for e in data.get("cheats", {}).get(n, {}).values()]
    tests = [data.get("tests", {}).get(t, "") for t in [*threat.get("tests", ()), *_alone(threat)]]
    if not any([*ends, *tests]):
        return "" if not (threat.get("cheats") or threat.get("tests")) else "not run"
    if any(e.startswith("!") for e in ends) or "failed" in tests:
        return f"{data['date']}: NOT AS NAMED"
    if threat["defence"] == "NONE":
        return f"{data['date']}: OPEN"
    seen = ", ".join(dict.fromkeys(ends)) or "passed"
    return f"{data['date']}: {seen}"


def main() -> int:
    """Check, or run and record."""
    if sys.argv[1:] == ["--record"]:
        return record()
    found = list(gaps())
    for line in found:
        print(line, file=sys.stderr)
    print(f"{len(threats())} entries cover {len(ROWS)} rows, {len(cheats())} cheats")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
