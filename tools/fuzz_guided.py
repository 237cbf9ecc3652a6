#!/usr/bin/env python3
"""Fuzzing led by coverage (atheris, which is libFuzzer over Python's byte code).

    uv sync --group fuzz                                    # atheris, once
    python tools/fuzz_guided.py --seconds 600               # every subject of fuzz_subjects.py
    python tools/fuzz_guided.py --only tokens,agents --jobs 2
    python tools/fuzz_guided.py --only container,protocol,object   # the conductor's own readers
    python tools/fuzz_guided.py --record                    # adds to docs/figures/fuzz.json

Each subject runs in a process of its own and keeps its corpus in .lar/cache/fuzz. A find is
minimised and written to tests/data/fuzz/SUBJECT, where tests/house/test_fuzz.py runs it for ever.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
ROOT = HERE.parent.parent
RECORD = ROOT / "docs" / "figures" / "fuzz.json"
LONGEST = 1024
"""Bytes of an input."""
SLOW_S = 5.0
"""Seconds of CPU after which one input is a find."""


COUNTERS = (
    "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
    " -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
    " -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
    " -Zsanitizer=address --cfg fuzzing -Ccodegen-units=1"
)
"""What cargo-fuzz passes to rustc."""


def child(name: str, seconds: float, arguments: list[str]) -> None:
    """Fuzz one subject in this process for so much CPU; only a find ends it earlier.

    All limits are CPU: a process may stand still while another one measures.
    """
    import atheris
    import fuzz_subjects

    modules = fuzz_subjects.watched(name)
    with atheris.instrument_imports(include=modules):
        for module in modules:
            __import__(module)
    subject, count = fuzz_subjects.SUBJECTS[name], 0

    def slow(*_: object) -> None:
        raise TimeoutError(f"more than {SLOW_S} s of CPU")

    def bounded(data: bytes) -> None:
        nonlocal count
        count += 1
        signal.setitimer(signal.ITIMER_VIRTUAL, SLOW_S)
        subject(data)
        if time.process_time() > seconds:
            print(f"\n#{count} DONE", file=sys.stderr, flush=True)
            os._exit(0)

    signal.signal(signal.SIGVTALRM, slow)
    atheris.Setup([str(HERE), *arguments], bounded)
    atheris.Fuzz()


def run(name: str, seconds: float) -> dict[str, Any]:
    """Fuzz one subject for a while; its figures, a find written down."""
    import fuzz_subjects

    home = ROOT / ".lar" / "cache" / "fuzz" / name
    (home / "corpus").mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(fuzz_subjects.seeds(name)):
        (home / "corpus" / f"seed-{i:02}").write_bytes(seed[:LONGEST])
    words = [f"-max_len={LONGEST}", "-timeout=100000", "-report_slow_units=100000",
             "-rss_limit_mb=2048", f"-artifact_prefix={home}/", str(home / "corpus")]
    command = [sys.executable, str(HERE), "--child", name, str(seconds), *words]
    if name in fuzz_subjects.PROGRAMS:
        command = [str(program(name)), *words, f"-max_total_time={round(seconds)}"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, cwd=home)
        _, status, usage = os.wait4(process.pid, 0)
    said = (home / "log").read_text(errors="replace")
    found = re.search(r"Test unit written to (\S+/(?:crash|timeout|oom|leak)-\S+)", said)
    case = keep(name, Path(found[1])) if found else None
    if status != 0:
        print(f"{name}: {case}\n{said[-1500:]}", file=sys.stderr, flush=True)
    figures = {"executions": _last(said, r"^#(\d+)\s"), "edges": _last(said, r"cov: (\d+)"),
               "cpu_seconds": round(usage.ru_utime + usage.ru_stime), "find": case}  # fmt: skip
    print(f"{name}: {figures}", flush=True)
    return figures


def program(name: str) -> Path:
    """One of tools/fuzz_rust, built with counters and AddressSanitizer.

    The compiler is the usual one, set to accept switches that are not stable yet.
    """
    target = ROOT / ".lar" / "cache" / "fuzz-target"
    env = {**os.environ, "RUSTC_BOOTSTRAP": "1", "RUSTFLAGS": COUNTERS}
    host = next(line.split()[1] for line in subprocess.check_output(
        ["rustc", "-vV"], text=True).splitlines() if line.startswith("host:"))
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "--target", host,
                    "--target-dir", str(target)], cwd=ROOT / "tools" / "fuzz_rust", env=env,
                   check=True)
    return target / host / "release" / name


def _last(text: str, pattern: str) -> int:
    found = re.findall(pattern, text, re.M)
    return int(found[-1]) if found else 0


def keep(name: str, artifact: Path) -> str:
    """Make a find smaller while it still fails, and put it where the tests look."""
    import fuzz_subjects

    data = artifact.read_bytes()
    # What does not fail here was slow, took too much memory, or is a program's of its own.
    if name in fuzz_subjects.SUBJECTS and fails(name, data):
        data = smaller(name, data)
    to = fuzz_subjects.CASES / name / hashlib.sha256(data).hexdigest()[:12]
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(data)
    return to.relative_to(ROOT).as_posix()


def fails(name: str, data: bytes) -> str:
    """Kind of the exception this input brings, or nothing."""
    import fuzz_subjects

    try:
        fuzz_subjects.SUBJECTS[name](data)
    except Exception as error:
        return type(error).__name__
    return ""


def smaller(name: str, data: bytes) -> bytes:
    """The same failure from fewer bytes: halves, quarters, ... single bytes are left out."""
    kind, end, size = fails(name, data), time.process_time() + 20, max(1, len(data) // 2)
    while size and time.process_time() < end:
        at = 0
        while at < len(data):
            rest = data[:at] + data[at + size :]
            if fails(name, rest) == kind:
                data = rest
            else:
                at += size
        size //= 2
    return data


def record(name: str, figures: dict[str, Any]) -> None:
    """Add a run to what was fuzzed before."""
    total = json.loads(RECORD.read_text()) if RECORD.exists() else {"subjects": {}}
    total["date"] = time.strftime("%Y-%m-%d")
    total["command"] = "python tools/fuzz_guided.py --record"
    one = total["subjects"].setdefault(name, {"executions": 0, "cpu_seconds": 0, "edges": 0})
    one["executions"] += figures["executions"]
    one["cpu_seconds"] += figures["cpu_seconds"]
    one["edges"] = max(one["edges"], figures["edges"])
    total["cpu_hours"] = round(sum(s["cpu_seconds"] for s in total["subjects"].values()) / 3600, 2)
    RECORD.write_text(json.dumps(total, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main() -> int:
    """Fuzz, print, perhaps record. Exit code 1 if there is a find."""
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], float(sys.argv[3]), sys.argv[4:])
        return 0
    import fuzz_subjects

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="CPU for each subject")
    names = [*fuzz_subjects.PROGRAMS, *fuzz_subjects.SUBJECTS]
    parser.add_argument("--only", default=",".join(names))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    lock, finds = threading.Lock(), []

    def one(name: str) -> None:
        figures = run(name, given.seconds)
        with lock:
            finds.extend([figures["find"]] if figures["find"] else [])
            if given.record:
                record(name, figures)

    with ThreadPoolExecutor(given.jobs) as pool:
        list(pool.map(one, filter(None, given.only.split(","))))
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main())
