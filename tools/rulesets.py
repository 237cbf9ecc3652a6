#!/usr/bin/env python3
"""Continue calibration's counts over a change of the code that does not change a decision.

    python tools/rulesets.py --from COMMIT               an earlier commit's digests lead to today's
    python tools/rulesets.py --from COMMIT --replace     and to nothing that lay between

The earlier commit is checked out into a temporary clone and set up there (some minutes); it says
its own digests. Then every recorded comparison (`records/*/`) is judged again by today's rules;
only if all numbers are equal to the bit, a line per target is added to `records/rulesets.toml`.
With `--replace` earlier lines of the same target and the same old digest are dropped: they led to
digests of a tree that was never published.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lance_autoresearch.build.provenance import measure_provenance
from lance_autoresearch.calibration.rulesets import TABLE, read_table
from lance_autoresearch.campaign.replaying import verify_record
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.targets import catalogue

ROOT = Path(__file__).resolve().parent.parent
HEAD = "[[ruleset]]"
ASK = """
import importlib, json, pathlib, sys
root = pathlib.Path.cwd()
def find(*names):
    for name in names:
        module, _, attribute = name.partition(":")
        try:
            return getattr(importlib.import_module("lance_autoresearch." + module), attribute)
        except (ImportError, AttributeError):
            pass
    raise SystemExit("this commit does not say its digests")
digests = find("build.provenance:measure_provenance", "evidence.digests:immutable")
targets = find("targets.catalogue:load_all", "evidence.catalogue:load_all")
policy = find("rules.policy:DEFAULT", "policy:DEFAULT")
print(json.dumps({t.name: digests(root, t, policy)["all"] for t in targets(root)}))
"""


def ask_digests(commit: str) -> dict[str, str]:
    """Target -> digest of all that decided, as an earlier commit computes it."""
    with tempfile.TemporaryDirectory() as place:
        clone = Path(place) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        subprocess.run(["git", "-C", str(clone), "checkout", "-q", commit], check=True)
        subprocess.run(["make", "setup"], cwd=clone, check=True, stdout=sys.stderr)
        env = {k: v for k, v in os.environ.items() if not k.startswith("LAR_")}
        python = clone / ".venv" / "bin" / "python"
        done = subprocess.run(
            [python, "-c", ASK], cwd=clone, env=env, check=True, capture_output=True, text=True
        )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def judge_records_again() -> dict[str, int]:
    """Target -> recorded comparisons that give equal numbers today. Raises LedgerError if not."""
    counts: dict[str, int] = {}
    for about in sorted(ROOT.glob("records/*/campaign.json")):
        target = json.loads(about.read_text())["campaign"]["target"]
        found = verify_record(ROOT, about.parent)
        counts[target] = counts.get(target, 0) + found.decided
        print(f"{about.parent.name}: {found.decided} verdicts equal to the bit", file=sys.stderr)
    return counts


def add_lines(commit: str, olds: dict[str, str], counts: dict[str, int], replace: bool) -> int:
    """Write the lines that are not there yet; returns their number.

    Args:
        replace: drop earlier lines from the same digests first.
    """
    if replace:
        drop_lines(olds)
    known = {(line["target"], line["old"], line["new"]) for line in read_table(ROOT)}
    text = ""
    for target in catalogue.load_targets(ROOT):
        new = measure_provenance(ROOT, target, DEFAULT)["all"]
        old = olds.get(target.name, new)
        if old == new or (target.name, old, new) in known or not counts.get(target.name):
            continue
        text += (
            f'\n[[ruleset]]\ntarget = "{target.name}"\nold = "{old}"\nnew = "{new}"\n'
            f'commit = "{commit}"\ncomparisons = {counts[target.name]}\n'
            f'date = "{time.strftime("%Y-%m-%d")}"\n'
        )
    with (ROOT / TABLE).open("a", encoding="utf-8") as file:
        file.write(text)
    return text.count(HEAD)


def drop_lines(olds: dict[str, str]) -> None:
    """Drop the lines that lead from one of these digests of a target."""
    parts = (ROOT / TABLE).read_text(encoding="utf-8").split(HEAD)
    lead = [f'target = "{target}"\nold = "{old}"\n' for target, old in olds.items()]
    kept = [parts[0], *(p for p in parts[1:] if not p.lstrip("\n").startswith(tuple(lead)))]
    (ROOT / TABLE).write_text(HEAD.join(kept), encoding="utf-8")


def main() -> int:
    """Compare, then write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--from", dest="commit", required=True, help="the earlier commit")
    parser.add_argument("--replace", action="store_true", help="drop what lay between")
    asked = parser.parse_args()
    counts = judge_records_again()
    added = add_lines(asked.commit, ask_digests(asked.commit), counts, asked.replace)
    print(f"{added} lines added to {TABLE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
