#!/usr/bin/env python3
"""The test suite in its tiers, in the order that keeps measurements honest.

    python tools/run_tests.py             `make test`: all that must pass before a commit
    python tools/run_tests.py --all       `make test-all`: every target and every case
    python tools/run_tests.py --cpu       what depends on the processor, for a run under LAR_TIER
    python tools/run_tests.py -k gate     pytest's own options go with each of them

What each tier promises:

    test      At most 10 minutes on two cores of any x86-64 host, whatever instructions it has.
              At least one real test of every promise: each verdict, a keep, a kill, a cheat for
              each defence, a replay, an export, each agent driver. One target stands for all.
    test-all  The same on every target, the vendors' own agent programs against scripted models,
              slices against the published crates, kills and simulations by the hundred, more
              that measures time. Needs the network once; takes half an hour or more.
    proofs    Calibration, mutation, fuzzing, endurance and the catalogue of attempts are commands
              of their own, with committed records (`lar calibrate`, tools/mutation.py,
              tools/fuzz.py, tools/endurance.py).

A test that is not marked belongs to `test`. `deep` leaves it to `test-all`. `timing` says that it
needs the cores for itself: it runs after the others, alone. `cpu` says that its outcome could
depend on the instruction set. Ends with one line, `N passed, N failed`, and with exit code 1 if
anything failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NO_TESTS = 5
"""pytest's exit code when a selection is empty."""
TIERS = {"--all": "", "--cpu": "cpu and not deep"}
"""What each option selects, as pytest's `-m`; without one the tier is `FAST`."""
FAST = "not deep"


def run_phase(name: str, marks: str, options: list[str]) -> tuple[int, int, int]:
    """Run pytest once. Returns passed, failed (errors included), skipped."""
    result = ROOT / ".lar" / "tmp" / f"tests-{name}.xml"
    result.parent.mkdir(parents=True, exist_ok=True)
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", f"--junitxml={result}", "-m", marks, *options]
    code = subprocess.run(command, cwd=ROOT).returncode
    if not result.exists():
        return 0, 1, 0
    suite = ET.parse(result).getroot().find("testsuite")
    counts = {} if suite is None else suite.attrib
    total, skipped = int(counts.get("tests", 0)), int(counts.get("skipped", 0))
    failed = int(counts.get("failures", 0)) + int(counts.get("errors", 0))
    if code not in (0, NO_TESTS):
        failed = max(failed, 1)
    return total - failed - skipped, failed, skipped


def select(tier: str, phase: str) -> str:
    """pytest's `-m` for one phase of a tier."""
    return f"({tier}) and {phase}" if tier else phase


def main(words: list[str]) -> int:
    """Both phases of a tier, one closing line."""
    begun = time.monotonic()
    tier = next((TIERS[word] for word in words if word in TIERS), FAST)
    options = [word for word in words if word not in TIERS]
    # One more than cores: many tests wait for a process, a signal or a clock half of their time.
    workers = str(min(4, 1 + (os.cpu_count() or 1)))
    # Files in the order of tests/conftest.py: the longest first, so that no core waits at the end.
    spread = ["-n", workers, "--dist", "loadfile", "--no-loadscope-reorder"]
    plain = run_phase("plain", select(tier, "not timing"), [*spread, *options])
    timed = run_phase("timing", select(tier, "timing"), options)
    passed, failed, skipped = (a + b for a, b in zip(plain, timed, strict=True))
    if passed + failed == 0:
        failed = 1
    minutes, seconds = divmod(round(time.monotonic() - begun), 60)
    print(f"{minutes} min {seconds} s")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
