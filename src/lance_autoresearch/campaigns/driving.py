"""A loop as a person watches it: live line, one row a trial, the end in a few words.

    drive(root, "pq-l2", TuneAgent(), Budget(trials=20))

    #12  revert    -1.84%  2.1 s  tune STRIP: 256 -> 512
                           slower
"""

from __future__ import annotations

import json as json_module
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lance_autoresearch.campaigns import campaign as campaigns
from lance_autoresearch.campaigns.agents import Agent
from lance_autoresearch.campaigns.attempt import Done
from lance_autoresearch.campaigns.campaign import Campaign
from lance_autoresearch.campaigns.loop import Budget, Patience, Progress, loop
from lance_autoresearch.campaigns.nulls import SUSPENDED
from lance_autoresearch.campaigns.subject import newest
from lance_autoresearch.campaigns.tally import Run, load_run, only_loop
from lance_autoresearch.errors import UsageError
from lance_autoresearch.evidence import build, upstream
from lance_autoresearch.judging.rig import Rig
from lance_autoresearch.policy import DEFAULT
from lance_autoresearch.records import Verdict
from lance_autoresearch.rules.plain_text import stripped
from lance_autoresearch.world.live import Live
from lance_autoresearch.world.phases import Phases

MAY_GO_ON = ("interrupted", SUSPENDED)
"""How the end of a run begins that `--resume` goes on with."""
HOOK_S = 60.0
"""How long a command of the person's may take."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """Commands of the person's, run by the shell with the event as JSON on standard input."""

    keep: str | None = None
    end: str | None = None


def drive(
    root: Path,
    target: str,
    agent: Agent,
    budget: Budget,
    *,
    campaign: str | None = None,
    json: bool = False,
    kind: str = "trial",
    resume: bool = False,
    hooks: Hooks | None = None,
    patience: Patience | None = None,
) -> Progress:
    """Open or go on with a campaign and run the loop in it, printing as it goes.

    Args:
        resume: go on with the campaign's interrupted loop: its counts, limits and deadline.

    Raises:
        UsageError: no interrupted loop to go on with, another loop runs in the campaign.
    """
    hooks = hooks or Hooks()
    where = campaigns.load(root, campaign) if campaign else newest(root, target)
    where = where or begin(root, target)
    if where.target != target:
        raise UsageError(f"campaign '{where.name}' is on {where.target}",
                         next=f"./lar loop {where.target} --campaign {where.name}")
    with only_loop(where.desk), Live(enabled=not json) as live:
        run = interrupted(where) if resume else None
        phases = Phases(live.show)
        policy = DEFAULT.planned((run.budget if run else budget).trials or 0)
        champion = where.champion_text()
        with Rig(root, target, champion=champion, phases=phases, policy=policy) as rig:
            progress = loop(
                rig, where, agent, budget, live.show,
                lambda done: _report(done, live, json, where, hooks), kind=kind, run=run,
                patience=patience,
            )
    _finish(progress, where, json, hooks)
    return progress


def interrupted(where: Campaign) -> Run:
    """The campaign's run that was killed or interrupted, or whose keeps were suspended.

    Raises:
        UsageError: there is none.
    """
    run = load_run(where.desk)
    if run is None or (run.ended and not run.ended.startswith(MAY_GO_ON)):
        why = f"it ended: {run.ended}" if run else "none was begun"
        raise UsageError(f"no interrupted loop in campaign '{where.name}' ({why})",
                         next=f"./lar loop {where.target} --campaign {where.name}")
    run.ended, run.pid = "", os.getpid()
    return run


def begin(root: Path, target: str, name: str | None = None) -> Campaign:
    """A new campaign that starts from upstream's own code."""
    upstream.fetch(root)
    era = upstream.load_manifest(root).version
    return campaigns.create(
        root, target, build.first_kernel(root, target), origin="upstream", era=era, name=name
    )


def _report(done: Done, live: Live, json: bool, where: Campaign, hooks: Hooks) -> None:
    if json:
        print(json_module.dumps(done.as_json()), flush=True)
    else:
        live.clear()
        print(row(done), flush=True)
    if done.record.verdict is Verdict.KEEP and not done.remembered:
        _hook(hooks.keep, {"event": "keep", "campaign": where.name, **done.as_json()})


def _finish(progress: Progress, where: Campaign, json: bool, hooks: Hooks) -> None:
    tally = progress.tally
    kept = sum(1 for record in tally.trials if record.verdict is Verdict.KEEP)
    body = {
        "v": 1, "event": "end", "campaign": where.name, "target": where.target,
        "ended": progress.ended, "trials": tally.count, "kept": kept,
        "gain": round(tally.gain, 3), "cost_usd": round(tally.usd, 6),
        "tokens": tally.run.lost_tokens + sum(r.tokens or 0 for r in tally.trials),
        "complaints": progress.complaints[-5:],
    }
    if json:
        print(json_module.dumps(body), flush=True)
    else:
        cost = f", {tally.usd:.2f} USD" if tally.usd else ""
        print(f"{tally.count} trials, {kept} kept{cost}: {progress.ended}")
        for complaint in dict.fromkeys(progress.complaints[-3:]):
            print(f"  without a candidate: {complaint}")
    _hook(hooks.end, body)


def _hook(command: str | None, event: dict[str, Any]) -> None:
    """Run a person's command; what it does wrong is said and changes nothing."""
    if command is None:
        return
    try:
        done = subprocess.run(["/bin/sh", "-c", command], timeout=HOOK_S, check=False,
                              input=json_module.dumps(event).encode(), stdout=sys.stderr)
        said = f"exit {done.returncode}" if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    if said:
        print(f"note: the command on {event['event']} failed: {said}", file=sys.stderr)


def row(done: Done) -> str:
    """One finished trial in two lines: numbers and idea, then the reason."""
    record = done.record
    gain = "" if record.gain is None else f"{record.gain:+.2f}%"
    took = "from memory" if done.remembered else f"{record.seconds:.1f} s"
    idea = stripped(record.hypothesis, 60)
    reason = stripped(record.reason.splitlines()[0] if record.reason else "", 110)
    cost = "" if record.cost_usd is None else f"  {record.cost_usd:.3f} USD"
    return (
        f"#{done.number:<4} {record.verdict:<12} {gain:>8}  {took:>11}{cost}  {idea}\n"
        f"      {reason}"
    )
