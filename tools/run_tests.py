#!/usr/bin/env python3
"""The whole test suite, in the order that keeps measurements honest.

First everything that measures no time, on all cores; then, alone on the machine, the tests
marked `timing`. Ends with one line, `N passed, M failed`, and exit code 1 if M is not 0.

    python tools/run_tests.py               what `make test` runs
    python tools/run_tests.py -k gate       the same, with pytest's own options
"""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NO_TESTS = 5
"""pytest's exit code when a selection is empty."""


def phase(name: str, options: list[str]) -> tuple[int, int, int]:
    """Run pytest once. Returns passed, failed (errors included), skipped."""
    result = ROOT / ".lar" / "tmp" / f"tests-{name}.xml"
    result.parent.mkdir(parents=True, exist_ok=True)
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", f"--junitxml={result}", *options, *sys.argv[1:]]
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


def main() -> int:
    """Both phases, one closing line."""
    cores = str(min(4, os.cpu_count() or 1))
    fast = phase("plain", ["-m", "not timing", "-n", cores, "--dist", "loadfile"])
    timed = phase("timing", ["-m", "timing"])
    passed, failed, skipped = (a + b for a, b in zip(fast, timed, strict=True))
    if passed + failed == 0:
        failed = 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
