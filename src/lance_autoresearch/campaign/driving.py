"""A loop as a person watches it: live line, one row a trial, the end in a few words.

    drive(root, "hamming", TuneAgent(), Budget(trials=20))

    #12  revert    -1.84%  2.1 s  tune STRIP: 256 -> 512
                           slower
"""

from __future__ import annotations

import json as json_module
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lance_autoresearch import oracle
from lance_autoresearch.agents import Agent
from lance_autoresearch.build import builder
from lance_autoresearch.campaign import campaign as campaigns
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.coordinator import Coordinator, Done
from lance_autoresearch.campaign.hooks import Hooks, notify
from lance_autoresearch.campaign.loop import Budget, Patience, Progress, loop
from lance_autoresearch.campaign.standing import standing
from lance_autoresearch.campaign.subject import newest
from lance_autoresearch.campaign.tally import Run, load_run, only_loop
from lance_autoresearch.errors import UsageError
from lance_autoresearch.host.live import Live, Notice
from lance_autoresearch.host.phases import Phases
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.records import Verdict
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.text.plain_text import stripped


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
    if fault := hooks.faults():
        raise UsageError(fault, allowed=["http://...", "https://..."])
    where = campaigns.load(root, campaign) if campaign else newest(root, target)
    where = where or begin(root, target)
    if where.target != target:
        raise UsageError(f"campaign '{where.name}' is on {where.target}",
                         next=f"./lar loop {where.target} --campaign {where.name}")
    campaigns.enter_tier(where)
    with only_loop(where.desk), Live(enabled=not json) as live:
        run = interrupted(where) if resume else None
        show = _events() if json else live.show
        phases = Phases(show)
        _begun(where, agent, (run.budget if run else budget), json, resume)
        policy = DEFAULT.planned((run.budget if run else budget).trials or 0)
        champion = where.champion_text()
        with Coordinator(
            root, target, champion=champion, phases=phases, policy=policy
        ) as coordinator:
            progress = loop(
                coordinator, where, agent, budget, show,
                lambda done: _report(done, live, json, where, hooks), kind=kind, run=run,
                patience=patience,
            )
    _finish(progress, where, json, hooks)
    return progress


def _events() -> Callable[[str], None]:
    """Progress as JSON lines for programs: what is worth a line, once."""
    last = ""

    def show(text: str) -> None:
        nonlocal last
        if text != last and isinstance(text, Notice):
            last = text
            body = {"v": 1, "event": "progress", "text": stripped(text, 300)}
            print(json_module.dumps(body), flush=True)

    return show


def _begun(where: Campaign, agent: Agent, budget: Budget, json: bool, resume: bool) -> None:
    if json:
        limits = {name: value for name, value in asdict(budget).items() if value is not None}
        body = {"v": 1, "event": "begin", "campaign": where.name, "target": where.target,
                "agent": agent.name, "resume": resume, "limits": limits}
        print(json_module.dumps(body), flush=True)


def interrupted(where: Campaign) -> Run:
    """The campaign's run that was killed or interrupted, or whose keeps were suspended.

    Raises:
        UsageError: there is none.
    """
    run = load_run(where.desk)
    if run is None or (run.ended and not run.may_go_on):
        why = f"it ended: {run.ended}" if run else "none was begun"
        raise UsageError(f"no interrupted loop in campaign '{where.name}' ({why})",
                         next=f"./lar loop {where.target} --campaign {where.name}")
    run.ended, run.may_go_on, run.pid = "", False, os.getpid()
    return run


def begin(root: Path, target: str, name: str | None = None) -> Campaign:
    """A new campaign that starts from upstream's own code."""
    oracle.fetch(root)
    era = oracle.load_manifest(root).version
    return campaigns.create(
        root, target, builder.first_kernel(root, target), origin="upstream", era=era, name=name
    )


def _report(done: Done, live: Live, json: bool, where: Campaign, hooks: Hooks) -> None:
    if json:
        print(json_module.dumps({"event": "trial", **done.as_json()}), flush=True)
    else:
        live.clear()
        print(row(done), flush=True)
    if done.record.verdict is Verdict.KEEP and not done.remembered:
        notify(hooks.keep, hooks, {"event": "keep", "campaign": where.name, **done.as_json()})


def _finish(progress: Progress, where: Campaign, json: bool, hooks: Hooks) -> None:
    tally = progress.tally
    kept = sum(1 for record in tally.trials if record.verdict is Verdict.KEEP)
    body = {
        "v": 1, "event": "end", "campaign": where.name, "target": where.target,
        "ended": progress.ended, "trials": tally.count, "kept": kept,
        "gain": round(tally.gain, 3), "cost_usd": round(tally.usd, 6),
        "tokens": tally.run.lost_tokens + sum(r.tokens or 0 for r in tally.trials),
        "complaints": progress.complaints[-5:], **_nulls(where),
    }
    if json:
        print(json_module.dumps(body), flush=True)
    else:
        cost = f", {tally.usd:.2f} USD" if tally.usd else ""
        print(f"{tally.count} trials, {kept} kept{cost}: {progress.ended}")
        if body["nulls"]:
            print(f"  hidden nulls of the campaign: {body['nulls_kept']} of {body['nulls']} kept "
                  f"(at most {body['nulls_most_percent']:g} % of nulls at 99 %)")
        for complaint in dict.fromkeys(progress.complaints[-3:]):
            print(f"  without a candidate: {complaint}")
    notify(hooks.end, hooks, body)


def _nulls(where: Campaign) -> dict[str, Any]:
    """The campaign's own error, for its end."""
    with Ledger.open(where.root) as ledger:
        row = ledger.campaign(where.name)
        assert row is not None
        now = standing(ledger, row)
    most = None if now.most is None else round(100 * now.most, 2)
    return {"nulls": now.tried, "nulls_kept": now.kept, "nulls_most_percent": most}


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
