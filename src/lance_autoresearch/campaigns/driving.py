"""A loop as a person watches it: live line, one row a trial, the end in a few words.

    drive(root, "pq-l2", TuneAgent(), Budget(trials=20))

    #12  revert    -1.84%  2.1 s  tune STRIP: 256 -> 512
                           slower
"""

from __future__ import annotations

import json as json_module
from pathlib import Path

from lance_autoresearch.campaigns import campaign as campaigns
from lance_autoresearch.campaigns.agents import Agent
from lance_autoresearch.campaigns.attempt import Done
from lance_autoresearch.campaigns.campaign import Campaign
from lance_autoresearch.campaigns.loop import Budget, Progress, loop
from lance_autoresearch.campaigns.subject import newest
from lance_autoresearch.evidence import build, upstream
from lance_autoresearch.judging.rig import Rig
from lance_autoresearch.rules.plain_text import stripped
from lance_autoresearch.world.live import Live
from lance_autoresearch.world.phases import Phases


def drive(
    root: Path,
    target: str,
    agent: Agent,
    budget: Budget,
    *,
    campaign: str | None = None,
    json: bool = False,
    kind: str = "trial",
) -> Progress:
    """Open or go on with a campaign and run the loop in it, printing as it goes."""
    where = campaigns.load(root, campaign) if campaign else newest(root, target)
    where = where or begin(root, target)
    with Live(enabled=not json) as live:
        phases = Phases(live.show)
        with Rig(root, target, champion=where.champion_text(), phases=phases) as rig:
            progress = loop(
                rig, where, agent, budget, live.show,
                lambda done: _report(done, live, json), kind=kind,
            )
    if not json:
        kept = sum(1 for done in progress.done if done.record.verdict.exit_code == 0)
        print(f"{len(progress.done)} trials, {kept} kept: {progress.ended}")
    return progress


def begin(root: Path, target: str, name: str | None = None) -> Campaign:
    """A new campaign that starts from upstream's own code."""
    upstream.fetch(root)
    era = upstream.load_manifest(root).version
    return campaigns.create(
        root, target, build.first_kernel(root, target), origin="upstream", era=era, name=name
    )


def _report(done: Done, live: Live, json: bool) -> None:
    if json:
        print(json_module.dumps(done.as_json()), flush=True)
        return
    live.clear()
    print(row(done), flush=True)


def row(done: Done) -> str:
    """One finished trial in two lines: numbers and idea, then the reason."""
    record = done.record
    gain = "" if record.gain is None else f"{record.gain:+.2f}%"
    seconds = sum(v for k, v in record.phases.items() if k != "python_cpu")
    took = "from memory" if done.judged is None else f"{seconds:.1f} s"
    idea = stripped(record.hypothesis, 60)
    reason = stripped(record.reason.splitlines()[0] if record.reason else "", 110)
    return (
        f"#{done.number:<4} {record.verdict:<12} {gain:>8}  {took:>11}  {idea}\n      {reason}"
    )
