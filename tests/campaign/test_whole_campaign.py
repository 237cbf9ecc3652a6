"""Whole campaigns from the command line: a gain that ends one, a keep to begin from, two at once.

Real trials, so they run alone; agents are shell commands in their box.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from agent_parts import TARGET, assert_whole, begin_delayed, checkout, newest, rows
from kernels import around

from lance_autoresearch.campaign.beginning import begin_campaign
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.ledger import Ledger

LAR = str(Path(sys.executable).parent / "lar")
WRONG = 'sed -i "s/pub fn /pub fn odd_$$_/" kernels.rs; echo a name'

pytestmark = [pytest.mark.timing, pytest.mark.deep]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("whole"))


def shell(script: str) -> str:
    return f"cmd:/bin/sh -c {shlex.quote(script)}"


def started(root: Path, *words: str, reads: Path | None = None) -> subprocess.Popen[str]:
    env = {**os.environ, "LAR_ROOT": str(root), "LAR_AGENT_READABLE": str(reads or "/none")}
    return subprocess.Popen([LAR, *words], cwd=root, env=env, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process: subprocess.Popen[str], code: int = 0) -> list[dict[str, object]]:
    out, err = process.communicate(timeout=240)
    assert process.returncode == code, err
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def listener() -> Iterator[tuple[str, list[dict[str, object]]]]:
    """A web address and what was posted to it."""
    events: list[dict[str, object]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/night", events
        server.shutdown()
        thread.join()


def test_a_gain_ends_the_campaign_hooks_get_the_keep_and_the_next_begins_from_it(
    root: Path, tmp_path: Path, listener: tuple[str, list[dict[str, object]]]
) -> None:
    address, posted = listener
    mine, faster = begin_delayed(root)
    better = tmp_path / "better" / "kernels.rs"
    better.parent.mkdir()
    better.write_text(faster)
    said = tmp_path / "keeps"
    propose = f'cat {better} > kernels.rs; echo "// $$" >> kernels.rs; echo without the delay'
    events = ended(started(
        root, "loop", TARGET, "--campaign", mine.name, "--agent", shell(propose), "--trials", "4",
        "--until-gain", "2", "--on-keep", f"cat >> {said}", "--webhook", address, "--json",
        reads=better.parent,
    ))
    assert events[0]["event"] == "begin" and events[0]["limits"] == {
        "trials": 4, "until_gain": 2.0, "failures": 5}
    assert "progress" in {event["event"] for event in events}
    kept = next(e for e in events if e["event"] == "trial" and e["verdict"] == "keep")
    assert str(events[-1]["ended"]).startswith("gain of ") and events[-1]["kept"] == 1
    assert events[-1]["gain"] >= 2.0  # type: ignore[operator]
    keep, end = posted
    assert (keep["event"], keep["trial"]) == ("keep", kept["trial"]) == (
        "keep", json.loads(said.read_text())["trial"])
    assert (end["event"], end["kept"], end["nulls"]) == ("end", 1, 0)
    assert_whole(mine)

    begun = ended(started(
        root, "loop", TARGET, "--from", str(kept["trial"]), "--agent", shell(WRONG),
        "--plateau", "2", "--webhook", "http://127.0.0.1:1/nobody", "--json",
    ))
    child = newest(root)
    assert begun[-1]["ended"] == "plateau: 2 trials without a keep"
    assert child.name == begun[0]["campaign"] != mine.name
    assert child.read_champion() == mine.read_champion() == child.read_kernel()
    with Ledger.open(root) as ledger:
        row = ledger.find_campaign(child.name)
        assert row is not None and row.parent == kept["trial"]
    wrong = started(root, "loop", TARGET, "--webhook", "ftp://x", "--json")
    assert "no http or https address" in str(ended(wrong, 64)[-1]["error"])


def test_two_targets_at_once_share_the_machine_and_both_end(root: Path, tmp_path: Path) -> None:
    """Right but slow kernels, so that every trial wants the machine for itself."""
    ops = {TARGET: "scan8", "topk-merge": "accumulate"}
    mine = {name: begin_campaign(root, name) for name in ops}
    loops = {
        name: started(root, "loop", name, "--campaign", campaign.name, "--agent",
                      shell(waiting(campaign, ops[name], tmp_path)), "--trials", "4", "--json",
                      reads=tmp_path)
        for name, campaign in mine.items()
    }
    phases = watched(root, loops, tmp_path / "go")
    for name, process in loops.items():
        last = ended(process)[-1]
        assert (last["ended"], last["target"]) == ("4 trials done", name)
    assert "trial" in phases, "`lar status` shows from outside what a loop does"
    with Ledger.open(root) as ledger:
        made = [r.record for r in ledger.list_trials() if r.record.campaign in
                {c.name for c in mine.values()}]
    order = [record.target for record in made]
    assert len(order) == 8 and order not in (sorted(order), sorted(order, reverse=True))
    assert {str(r.verdict) for r in made} <= {"revert", "inconclusive"}, [r.reason for r in made]
    locked = [r.phases.get("lock", 0.0) for r in made]
    assert max(locked) < 30, "nobody waits for more than a turn of the other's"
    for name, campaign in mine.items():
        assert len(rows(campaign)) == 4
        assert campaign.read_kernel() == campaign.read_champion() or "inconclusive" in {
            str(rows(campaign)[-1].record.verdict)}
        assert name in campaign.branch


def waiting(campaign: Campaign, op: str, ideas: Path) -> str:
    """An agent that lets an op wait, each turn a little differently, from the test's word on."""
    spin = "let mut waits = LAPSu64; while std::hint::black_box(waits) > 0 { waits -= 1; }"
    slow = ideas / f"{campaign.target}.rs"
    slow.write_bytes(around(campaign.read_champion(), op, after=spin))
    return (
        f"until [ -e {ideas / 'go'} ]; do sleep 0.1; done; "
        'n=$(cat "$HOME/n" 2>/dev/null || echo 600); n=$((n+1)); echo $n > "$HOME/n"; '
        f'sed "s/LAPS/$n/" {slow} > kernels.rs; echo waits $n'
    )


def watched(root: Path, loops: dict[str, subprocess.Popen[str]], go: Path) -> set[str]:
    """Phases that another terminal sees while the loops run; `go` once all agents are asked."""
    seen: set[str] = set()
    while any(process.poll() is None for process in loops.values()):
        done = subprocess.run([LAR, "status", "--json"], cwd=root, capture_output=True, text=True,
                              env={**os.environ, "LAR_ROOT": str(root)}, check=True)
        entries = [e["loop"] for e in json.loads(done.stdout)["campaigns"] if e["loop"]]
        now = [entry["phase"] for entry in entries if entry["running"]]
        if now == ["agent"] * len(loops) or any(p.poll() is not None for p in loops.values()):
            go.touch()
        seen.update(now)
        time.sleep(0.3)
    return seen
