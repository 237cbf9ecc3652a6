#!/usr/bin/env python3
"""Mutation testing of the rules: do the tests fail if the code that decides is wrong?

    python tools/mutation.py                 gate, stats, estimator, confirmation
    python tools/mutation.py gate stats      some of them
    python tools/mutation.py --again         only mutants that no test detected in the last run
    python tools/mutation.py --report        run nothing, report the last run

Every mutant (mutmut: another operator, constant, argument, ...) must fail a test, or stand with
its reason in docs/mutation.toml. Exit code 1 if one does neither, or if a reason has no
mutant any more. A full run also writes docs/figures/mutation.toml. About half an hour on two
cores, in `.lar/mutation`: an environment of its own (dependency group `mutation`) and a copy of
rules and tests. In the copy, properties and cached functions are spelt so that mutmut, which
leaves decorated functions alone, changes them too.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from own_venv import install  # noqa: E402

HOME = ROOT / ".lar" / "mutation"
WORK = HOME / "work"
RULES = "src/lance_autoresearch/rules"
FILES = ("gate", "stats", "estimator", "confirmation", "defences")
TESTS = ("rules/test_gate.py", "rules/test_stats.py", "rules/test_confirmation.py",
         "rules/test_defences.py", "rules/test_rules_pinned.py")  # fmt: skip
PARTS = ("gate_cases.py", "gate_vectors.py", "gate_noise.py", "data/gate")
REASONS = ROOT / "docs" / "mutation.toml"
FIGURES = ROOT / "docs" / "figures" / "mutation.toml"
RESULTS = HOME / "results.json"
ALIVE = (0, 33, None)
"""Exit codes of a mutant's tests, in mutmut's words: all passed, none concerned, not run."""
CONFIG = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = [{files}]
pytest_add_cli_args_test_selection = [{tests}]
also_copy = ["tests"]
[tool.pytest.ini_options]
pythonpath = ["tests"]
addopts = "-q -x --strict-markers -p no:cacheprovider"
markers = ["timing: measures time"]
"""


@dataclass(frozen=True, order=True)
class Mutant:
    """One change that no test detected."""

    file: str
    function: str
    was: str
    now: str


def prepare(files: Sequence[str], again: bool) -> None:
    """A copy of rules and tests that mutmut can change."""
    if not again:
        shutil.rmtree(WORK, ignore_errors=True)
    source = WORK / "src" / "lance_autoresearch"
    shutil.rmtree(source, ignore_errors=True)
    shutil.rmtree(WORK / "tests", ignore_errors=True)
    WORK.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "src" / "lance_autoresearch", source)
    for path in (WORK / RULES).glob("*.py"):
        path.write_text(undecorated(path.read_text()))
    (WORK / "tests").mkdir()
    for name in (*TESTS, *PARTS):
        whole = ROOT / "tests" / name
        if whole.is_dir():
            shutil.copytree(whole, WORK / "tests" / name)
        else:
            (WORK / "tests" / name).parent.mkdir(exist_ok=True)
            shutil.copy(whole, WORK / "tests" / name)
    config = CONFIG.format(
        files=", ".join(f'"{RULES}/{name}.py"' for name in files),
        tests=", ".join(f'"tests/{name}"' for name in TESTS),
    )
    (WORK / "pyproject.toml").write_text(config)


def undecorated(text: str) -> str:
    """The same program with `x = property(x)` in place of `@property`, and without caches."""
    text = re.sub(r"^@lru_cache\(.*\)\n", "", text, flags=re.M)
    one = re.compile(r"    @property\n(    def (\w+)\(.*\n(?:(?:     .*)?\n)*?)(?=    \S|\S|\Z)")
    return one.sub(lambda m: f"{m[1].rstrip()}\n\n    {m[2]} = property({m[2]})\n\n", text)


def mutmut(*words: str) -> None:
    """Run it in its own environment, installed on first use; its words go to a log."""
    program = HOME / "venv" / "bin" / "mutmut"
    if not program.is_file():
        HOME.mkdir(parents=True, exist_ok=True)
        install(HOME / "venv", "--group", "mutation")
    log = HOME / "log"
    print(f"mutants are being tried; progress: tail -c 80 {log.relative_to(ROOT)}", flush=True)
    with log.open("w") as out:
        subprocess.run([program, *words], cwd=WORK, check=False, stdout=out, stderr=out)


def results(file: str) -> Path:
    """Mutmut's record of a rules file's mutants."""
    return WORK / "mutants" / RULES / f"{file}.py.meta"


def ends(files: Sequence[str]) -> Iterator[tuple[str, str, int | None]]:
    """(file, mutant's name, exit code of its tests); what this run left out is as before."""
    before = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for name in files:
        meta = json.loads(results(name).read_text())
        for mutant, code in meta["exit_code_by_key"].items():
            before[mutant] = before.get(mutant) if code is None else code
            yield name, mutant, before[mutant]
    RESULTS.write_text(json.dumps(before))


DIFFS = """
import json, pathlib, sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
for line in sys.stdin:
    path, name = line.split()
    print(json.dumps(get_diff_for_mutant(name, path=pathlib.Path(path))))
"""


def described(alive: Sequence[tuple[str, str]]) -> list[Mutant]:
    """What mutants (file, name) change, in words that outlive their numbers."""
    asked = "".join(f"{RULES}/{file}.py {name}\n" for file, name in alive)
    words = [HOME / "venv" / "bin" / "python", "-c", DIFFS]
    done = subprocess.run(words, cwd=WORK, check=True, text=True, input=asked, capture_output=True)
    out = []
    for (file, name), line in zip(alive, done.stdout.splitlines(), strict=True):
        diff = json.loads(line).splitlines()
        was = [text[1:].strip() for text in diff if re.match(r"-(?!--)", text)]
        now = [text[1:].strip() for text in diff if re.match(r"\+(?!\+\+)", text)]
        function = re.sub(r"__mutmut_\d+$", "", name.rpartition(".")[2])
        function = re.sub(r"^x_|^xǁ", "", function).replace("ǁ", ".")
        out.append(Mutant(file, function, " ".join(was), " ".join(now)))
    return out


def reasons() -> dict[Mutant, str]:
    """Known survivors, and the reason for each."""
    if not REASONS.is_file():
        return {}
    found = tomllib.loads(REASONS.read_text()).get("survivor", [])
    return {Mutant(s["file"], s["function"], s["was"], s["now"]): s["why"] for s in found}


def figures(counts: dict[str, Counter[str]]) -> str:
    """The table of a full run as docs/figures/mutation.toml."""
    head = ["file", "mutants", "killed", "explained"]
    rows = [[f, str(c.total()), str(c["killed"]), str(c["explained"])] for f, c in counts.items()]
    lines = [f"    {json.dumps(row)}," for row in rows]
    about = ['command = "python tools/mutation.py"', f"head = {json.dumps(head)}"]
    return "\n".join([*about, "rows = [", *lines, "]", ""])


def main() -> int:
    """Run, compare with the reasons, report. Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", help=f"of {', '.join(FILES)}; default: all")
    parser.add_argument("--again", action="store_true", help="only what no test noticed")
    parser.add_argument("--report", action="store_true", help="run nothing, report the last run")
    options = parser.parse_args()
    files = tuple(options.files) or FILES
    if unknown := set(files) - set(FILES):
        parser.error(f"no rules file {sorted(unknown)}: one of {', '.join(FILES)}")
    untried = [name for name in files if not results(name).is_file()]
    if (options.again or options.report) and untried:
        parser.error(f"no last run of {', '.join(untried)} here: leave out --again and --report")
    if options.again:
        names = [name for _, name, code in ends(files) if code in ALIVE]
        prepare(files, True)
        mutmut("run", *names)
    elif not options.report:
        RESULTS.unlink(missing_ok=True)
        prepare(files, False)
        mutmut("run")
    known, seen = reasons(), list(ends(files))
    alive = described([(file, name) for file, name, code in seen if code in ALIVE])
    counts = {name: Counter[str]() for name in files}
    for file, _, code in seen:
        counts[file]["explained" if code in ALIVE else "killed"] += 1
    missing = [m for m in alive if m not in known]
    stale = [m for m in known if m.file in files and m not in alive]
    for title, group in (("survived, unexplained", missing), ("explained, but gone", stale)):
        for m in sorted(group):
            print(f"\n{title}: {m.file}.{m.function}\n  - {m.was}\n  + {m.now}")
    print()
    for name, count in counts.items():
        print(f"{name}: {count.total()} mutants, {count['killed']} killed, "
              f"{count['explained']} alive")
    if not missing and not stale and files == FILES:
        FIGURES.write_text(figures(counts))
    return 1 if missing or stale else 0


if __name__ == "__main__":
    sys.exit(main())
