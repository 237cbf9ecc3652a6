#!/usr/bin/env python3
"""How many trials several agents bring in a given time, and that nothing is lost or judged twice.

    python tools/team_pace.py --turn 60 --minutes 20 --agents 1 4     the figures: a quiet machine
    python tools/team_pace.py --turn 5 --minutes 2 --agents 1 4       a short look
    python tools/team_pace.py --turn 20 --minutes 60 --agents 4 --kills 12

In a clone of its own, `lar loop _toy` runs with scripted agents: each turn takes --turn seconds,
then proposes a kernel that is new and no faster, or now and then one with less of the delay that is
planted in the champion. With --kills the loop is killed with SIGKILL at random instants and goes on
with --resume. It prints a table and one line of JSON; exit code 1 if something was lost or judged
twice.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from toy_delays import TOY, plant_delays, read_delays

from lance_autoresearch.campaign.campaign import (
    Campaign,
    create_campaign,
    repair_campaigns,
    verify_ledger,
)
from lance_autoresearch.host.machine import describe_machine
from lance_autoresearch.ledger import Ledger

ROOT = Path(__file__).resolve().parent.parent
LAR = Path(sys.executable).parent / "lar"
SHARED = ("upstream", "extracts", "bin", "cache/prelude", "cache/lar_shim")
STEPS = 4000
"""Steps of each planted delay at the beginning."""

SCRIPT = """
import json, os, random, re, sys, time
sys.stdin.read()
text = open("kernels.rs").read()
time.sleep({turn})
idea = "one more constant"
if random.random() < {share}:
    op = random.choice(["BLEND", "COMPACT"])
    half = lambda m: m[1] + str(int(m[2]) // 2)
    text = re.sub(r"(const %s_DELAY: u32 = )(\\d+)" % op, half, text)
    idea = "half of the delay in " + op.lower()
else:  # new code that no compiler removes, and no gain
    at = text.index("for step in")
    number = random.randrange(1 << 30)
    text = text[:at] + "core::hint::black_box(%du32);\\n    " % number + text[at:]
open("kernels.rs", "w").write(text)
print(json.dumps(dict(hypothesis=idea, cost_usd=0.01)))
"""
"""One turn of a scripted agent."""


@dataclass
class Pace:
    """One loop."""

    agents: int
    minutes: float
    turn_s: float
    trials: int
    kept: int
    remembered: int
    kills: int
    verdicts: dict[str, int]
    judge_s: float
    """Median time of a trial."""
    faults: list[str]


def main() -> None:
    """Measure each number of agents in turn."""
    options = read_options()
    paces = [measure_pace(count, options) for count in options.agents]
    print(f"{'agents':>6} {'minutes':>8} {'trials':>7} {'kept':>5} {'a trial':>8}  times")
    for pace in paces:
        times = pace.trials / max(1, paces[0].trials)
        print(f"{pace.agents:>6} {pace.minutes:>8.1f} {pace.trials:>7} {pace.kept:>5} "
              f"{pace.judge_s:>6.1f} s  {times:.2f}")
    kind = describe_machine()["cpu_kind"]
    print(json.dumps({"v": 1, "cpu_kind": kind, "date": f"{datetime.now(UTC):%Y-%m-%d}",
                      "paces": [asdict(pace) for pace in paces]}))
    faults = [fault for pace in paces for fault in pace.faults]
    for fault in faults:
        print(f"fault: {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turn", type=float, default=60.0, help="seconds of a turn")
    parser.add_argument("--minutes", type=float, default=20.0, help="wall clock of each loop")
    parser.add_argument("--agents", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--kills", type=int, default=0, help="SIGKILLs of each loop")
    parser.add_argument("--share", type=float, default=0.1, help="share of turns with a gain")
    return parser.parse_args()


def measure_pace(agents: int, options: argparse.Namespace) -> Pace:
    """One loop with this number of agents, in a fresh clone."""
    with tempfile.TemporaryDirectory(prefix="lar-pace-") as place:
        root = make_clone(Path(place) / "clone")
        mine = create_campaign(root, TOY, plant_delays(STEPS), origin="upstream", era="14.0.2",
                               name=f"pace-{agents}")
        run_loop(mine, agents, options)
        repair_campaigns(root)
        return summarise(mine, agents, options)


def make_clone(to: Path) -> Path:
    """A clone with this checkout's products."""
    subprocess.run(["git", "clone", "-q", str(ROOT), str(to)], check=True)
    for name in SHARED:
        if (ROOT / ".lar" / name).is_dir():
            shutil.copytree(ROOT / ".lar" / name, to / ".lar" / name,
                            ignore=shutil.ignore_patterns(".*"))
    return to


def run_loop(mine: Campaign, agents: int, options: argparse.Namespace) -> None:
    """`lar loop` for the given time, killed and resumed at random instants."""
    script = SCRIPT.format(turn=options.turn, share=options.share)
    agent = f"cmd:/usr/bin/env python3 -c {shlex.quote(script)}"
    words = [str(LAR), "loop", TOY, "--campaign", mine.name, "--agent", agent,
             "--agents", str(agents), "--hours", str(options.minutes / 60), "--json"]
    end = time.monotonic() + 60 * options.minutes
    kills = sorted(random.uniform(0.05, 0.95) for _ in range(options.kills))
    moments = [end - 60 * options.minutes * (1 - share) for share in kills]
    resume: list[str] = []
    env = {**os.environ, "LAR_ROOT": str(mine.root)}
    while True:
        process = subprocess.Popen([*words, *resume], cwd=mine.root, env=env,
                                   stdout=subprocess.DEVNULL)
        wait = moments.pop(0) - time.monotonic() if moments else None
        try:
            process.wait(None if wait is None else max(0.0, wait))
            return
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            resume = ["--resume"]


def summarise(mine: Campaign, agents: int, options: argparse.Namespace) -> Pace:
    """Count what the ledger has, and look for what may not be."""
    with Ledger.open(mine.root) as ledger:
        rows = [r for r in ledger.list_trials(campaign=mine.name) if r.record.kind == "trial"]
        champion = ledger.get_blob(ledger.find_champion(mine.name).kernel)
    loop = json.loads((mine.root / ".lar" / "loops" / mine.name / "loop.json").read_text())
    records = [row.record for row in rows]
    kept = [record for record in records if str(record.verdict) == "keep"]
    faults = []
    decided = [r for r in records if str(r.verdict) != "inconclusive" and r.results.code]
    judged = Counter((r.results.code.digest, r.champion) for r in decided if r.results.code)
    if twice := [pair for pair, count in judged.items() if count > 1]:
        faults.append(f"{len(twice)} kernels were judged twice against one champion")
    if (fault := verify_ledger(mine.root).fault) is not None:
        faults.append(f"the ledger: {fault}")
    parent = {r.kernel: r.champion for r in kept}
    at, chain = kept[-1].kernel if kept else "", 0
    while at in parent:
        at, chain = parent[at], chain + 1
    if chain != len(kept):
        faults.append(f"{len(kept)} keeps, but {chain} behind the champion")
    print(f"{agents} agents: delays left {read_delays(champion)}", file=sys.stderr)
    seconds = sorted(record.seconds for record in records) or [0.0]
    verdicts = dict(Counter(str(record.verdict) for record in records))
    return Pace(agents, options.minutes, options.turn, len(rows), len(kept), loop["remembered"],
                options.kills, verdicts, seconds[len(seconds) // 2], faults)


if __name__ == "__main__":
    main()
