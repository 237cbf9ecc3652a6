#!/usr/bin/env python3
"""A long campaign with scripted agents and random kills, then the proof that it had no fault.

    python tools/endurance.py --trials 500              half an hour to an hour on two cores
    python tools/endurance.py --trials 500 --figures    and write docs/figures/endurance.toml

In a clone of its own, `lar loop` is driven by a program that proposes honest, wrong, cheating and
broken kernels, crashes, hangs and prints far too much (`endurance_ideas`). Meanwhile that program,
the measuring processes and `lar loop` itself are killed with SIGKILL at random instants; a killed
loop goes on with `--resume`. In the last third `lar loop` is spared, so that its memory can be
measured over many trials. Ends with exit code 1 and the list of faults.

It may run on a busy machine: nothing it proves is a time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import endurance_ideas
import endurance_proof
from endurance_processes import Process, below, kill, of_place, rss_kib

ROOT = Path(__file__).resolve().parent.parent
TARGET = "pq-l2"
LAR = Path(sys.executable).parent / "lar"
SHARED = ("upstream", "extracts", "bin", "cache/prelude", "cache/lar_shim")
VICTIMS = {"agent": 3, "measuring": 4, "harness": 2}
"""The processes to kill, and how often relative to the others."""
PATIENCE_S = 5.0
"""How long one lies in wait for a process of the kind drawn: an agent's lives for 50 ms."""
SPARED = 2 / 3
"""From this share of the trials on `lar loop` itself is left alive."""


@dataclass
class Life:
    """One process of `lar loop`."""

    rows: int
    """In the ledger when it began."""
    seen: list[tuple[int, int]] = field(default_factory=list)
    """(rows in the ledger, resident KiB), sampled."""


@dataclass
class Story:
    """The events of the run, for the proof and the figures."""

    place: Path
    seed: int
    lives: list[Life] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    announced: dict[int, str] = field(default_factory=dict)
    """Trial -> verdict, as `lar loop` printed them."""
    starts: int = 0
    seconds: float = 0.0
    sizes: list[dict[str, int]] = field(default_factory=list)
    """Bytes below .lar by part: before, after, after `lar gc`."""


def clone(place: Path) -> None:
    """A checkout with a ledger of its own and this one's builds of trusted code."""
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(place)], check=True)
    for name in (n for n in SHARED if (ROOT / ".lar" / n).is_dir()):
        shutil.copytree(ROOT / ".lar" / name, place / ".lar" / name, copy_function=_link)


def _link(source: str, to: str) -> None:
    try:
        os.link(source, to)
    except OSError:
        shutil.copy2(source, to)


def lar(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """One command in the clone, to its end."""
    return subprocess.run([LAR, *words], cwd=place, env=environment(place), text=True,
                          capture_output=True, check=False)


def environment(place: Path) -> dict[str, str]:
    """The clone as root; its scripted agent may read the ideas."""
    readable, locks = place / ".lar" / "endurance", place / ".lar" / "locks"
    locks.mkdir(parents=True, exist_ok=True)  # no time is measured here: wait for no process
    return {**os.environ, "LAR_ROOT": str(place), "LAR_AGENT_READABLE": str(readable),
            "LAR_LOCK_DIR": str(locks), "TMPDIR": str(endurance_proof.temporary(place))}


def endure(
    story: Story, trials: int, every: tuple[int, int], minutes: float | None, timed: float
) -> None:
    """Run the loop, killing and resuming, until `trials` trials are done."""
    place, dice = story.place, random.Random(story.seed)
    ideas = place / ".lar" / "endurance"
    endurance_ideas.write(place, ideas, turns=2 * trials, seed=story.seed, timed=timed)
    lar(place, "start", TARGET, "--from", "upstream", "--name", "endurance")
    story.sizes.append(endurance_proof.sizes(place))
    begun = time.monotonic()
    words = [
        "loop", TARGET, "--campaign", "endurance", "--agent", f"cmd:/bin/sh {ideas}/agent.sh",
        "--max-failures", "50", "--turn-minutes", "0.1", "--json",
    ]
    more = ["--trials", str(trials), *(["--hours", str(minutes / 60)] if minutes else [])]
    while True:
        story.starts += 1
        code, ended = _life(story, [*words, *more], trials, dice, every)
        if code == 0 and ended:
            break
        if ended or code not in (0, -9, 4):  # 4 without an end: the machine failed, go on
            said = (place / "stderr").read_text()[-2000:]
            raise SystemExit(f"lar loop ended with {code}: {ended} {said}")
        begun_one = (place / ".lar" / "loops" / "endurance" / "loop.json").exists()
        more = ["--resume"] if begun_one else more  # killed before it had begun: again
    story.seconds = time.monotonic() - begun


def _life(
    story: Story, words: list[str], trials: int, dice: random.Random, every: tuple[int, int]
) -> tuple[int, bool]:
    """One process of the loop: start, watch, kill others, perhaps be killed."""
    place = story.place
    with (place / "stderr").open("ab") as errors:
        process = subprocess.Popen([LAR, *words], cwd=place, env=environment(place), text=True,
                                   stdout=subprocess.PIPE, stderr=errors, start_new_session=True)
    ended: list[dict[str, Any]] = []
    life = Life(endurance_proof.rows(place))
    story.lives.append(life)
    reader = threading.Thread(target=_read, args=(process, story, ended))
    reader.start()
    strike = life.rows + dice.randint(*every)
    while process.poll() is None:
        time.sleep(0.2)
        done = endurance_proof.rows(place)
        life.seen.append((done, rss_kib(process.pid)))
        if done >= strike:
            strike = done + dice.randint(*every)
            time.sleep(dice.uniform(0, 2))  # anywhere in the next turn or trial
            spared = done >= SPARED * trials
            _strike(story, process, dice, {**VICTIMS, "harness": 0} if spared else VICTIMS)
    reader.join()
    return process.returncode, bool(ended)


def _read(process: subprocess.Popen[str], story: Story, ended: list[dict[str, Any]]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # the last line of a killed process
        if "trial" in event and not event.get("remembered"):
            story.announced[event["trial"]] = event["verdict"]
        if event.get("event") == "end":
            ended.append(event)


def _strike(
    story: Story, process: subprocess.Popen[str], dice: random.Random, odds: dict[str, int]
) -> None:
    """Kill one process of a kind drawn at random; do nothing if none of that kind runs."""
    (kind,) = dice.choices(list(odds), list(odds.values()))
    if kind == "harness":
        process.kill()
        story.kills["harness"] += 1
        return
    until = time.monotonic() + PATIENCE_S
    while not (victims := [p for p in below(process.pid) if _is(kind, p)]):
        if time.monotonic() >= until:
            return
        time.sleep(0.01)
    if victims and kill(dice.choice(victims)):
        story.kills[kind] += 1


def _is(kind: str, process: Process) -> bool:
    measuring = any(name in process.command for name in ("lar-worker", "lar-conductor"))
    return measuring if kind == "measuring" else "agent.sh" in process.command


def run(
    trials: int, seed: int, every: tuple[int, int], place: Path, minutes: float | None = None,
    timed: float = 1.0,
) -> tuple[Story, list[str]]:
    """The campaign and its proof: the events, and every fault."""
    story = Story(place, seed)
    clone(place)
    endure(story, trials, every, minutes, timed)
    faults = [f"still running: {p.pid} {p.command[:120]}" for p in of_place(place)]
    lar(place, "status")
    faults += endurance_proof.faults(story, trials)
    story.sizes.append(endurance_proof.sizes(place))
    freed = lar(place, "gc", "--days", "0", "--json")
    if freed.returncode:
        faults.append(f"lar gc failed: {freed.stderr[-300:]}")
    story.sizes.append(endurance_proof.sizes(place))
    faults += endurance_proof.left_behind(place)
    checked = lar(place, "log", "--verify")
    if checked.returncode:
        faults.append(f"after lar gc: {checked.stderr[-300:]}")
    return story, faults


def main() -> int:
    """Run, tell, and write the figures if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(30))
    parser.add_argument("--every", type=int, nargs=2, default=(2, 12), metavar="N",
                        help="trials between two kills, from and to")
    parser.add_argument("--timed", type=float, default=1.0,
                        help="factor for the number of timed kernels; 20 on a quiet machine")
    parser.add_argument("--minutes", type=float, help="end after so long, trials done or not")
    parser.add_argument("--figures", action="store_true", help="write docs/figures/endurance.toml")
    parser.add_argument("--keep", type=Path, help="work in this directory and leave it there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="endurance-", ignore_cleanup_errors=True) as scratch:
        place = (asked.keep or Path(scratch) / "checkout").resolve()
        story, faults = run(
            asked.trials, asked.seed, tuple(asked.every), place, asked.minutes, asked.timed
        )
        table = endurance_proof.figures(story)
    print(f"seed {asked.seed}")
    for name, value in table:
        print(f"  {name:44} {value}")
    for fault in faults:
        print(f"FAULT {fault}")
    print(f"{len(faults)} faults")
    if asked.figures and not faults:
        endurance_proof.write_figures(ROOT, asked.trials, asked.timed, table)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
