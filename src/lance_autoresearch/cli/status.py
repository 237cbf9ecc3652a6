"""`lar status`: the campaigns of this checkout, and how far each is."""

from __future__ import annotations

import json as json_module
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lance_autoresearch.campaign.null_monitor import NullMonitor
    from lance_autoresearch.campaign.tally import AgentFacts, Tally
    from lance_autoresearch.ledger import CampaignRow, Ledger

EVERY_S = 2.0
"""Pause between two refreshes of --watch."""
CLEAR = "\x1b[H\x1b[2J"


def show_status(target: str | None = None, *, watch: bool = False, json: bool = False) -> int:
    """Show the running work and its progress.

    First it completes the unfinished work of a killed process, and says so.

    Args:
        target: only campaigns on this target.
        watch: refresh every two seconds until Ctrl-C.
        json: one JSON object instead of text; with --watch one a line.
    """
    from lance_autoresearch.campaign.campaign import repair_campaigns
    from lance_autoresearch.host.checkout import find_root
    from lance_autoresearch.targets.catalogue import load_target

    root = find_root()
    if target is not None:
        load_target(root, target)
    repaired = repair_campaigns(root)
    if not json:
        for line in repaired:
            print(line, file=sys.stderr)
    clear = CLEAR if watch and sys.stdout.isatty() else ""
    try:
        while True:
            body = collect_status(root, target) | {"repaired": repaired}
            print(json_module.dumps(body) if json else clear + render_status(body), flush=True)
            if not watch:
                return 0
            time.sleep(EVERY_S)
            repaired = []
    except KeyboardInterrupt:
        return 0


def collect_status(root: Path, target: str | None) -> dict[str, Any]:
    """All campaigns and the ledger's counts, as JSON-able fields.

    Raises:
        UsageError: neither the checkout nor the ledger knows the target.
    """
    from lance_autoresearch.cli.names import check_names
    from lance_autoresearch.ledger import Ledger, find_ledger_path

    if not find_ledger_path(root).exists():
        check_names(root, None, target)
        return {"v": 1, "campaigns": [], "trials": {}}
    with Ledger.open(root) as ledger:
        check_names(root, ledger, target)
        found = [describe_campaign(root, ledger, row) for row in ledger.list_campaigns(target)]
        return {"v": 1, "campaigns": found, "trials": ledger.count_verdicts()}


def render_status(body: dict[str, Any]) -> str:
    """The result of `collect_status`, for people."""
    said = [line for entry in body["campaigns"] for line in render_campaign(entry)]
    counted = ", ".join(f"{count} {verdict}" for verdict, count in body["trials"].items())
    said.append(f"trials   {counted}" if counted else "no trial yet")
    if not body["campaigns"]:
        said.append("next     ./lar start TARGET")
    return "\n".join(said)


def describe_campaign(root: Path, ledger: Ledger, row: CampaignRow) -> dict[str, Any]:
    """One campaign: its champion, its counts, its last trial, whether a process works in it."""
    from lance_autoresearch.campaign.campaign import Campaign
    from lance_autoresearch.campaign.null_monitor import read_monitor
    from lance_autoresearch.ledger.kinds import is_hidden

    campaign = Campaign(root, row.name, row.target)
    champion = ledger.find_champion(row.name)
    newest = [r for r in ledger.list_trials(campaign=row.name, limit=20) if not is_hidden(r.record)]
    last = newest[-1:]
    return {
        "name": row.name,
        "target": row.target,
        "branch": row.branch,
        "origin": row.origin,
        "era": row.era,
        "created": row.created,
        "kernel": str(campaign.kernel_path) if campaign.kernel_path.exists() else None,
        "champion": champion.kernel,
        "champion_trial": champion.trial,
        "edited": campaign.desk.read_digest() != champion.kernel,
        "trials": ledger.count_verdicts(row.name),
        "loop": _describe_loop(campaign.desk, ledger),
        "nulls": _describe_nulls(read_monitor(ledger, row)),
        "last": _describe_last_trial(last[-1]) if last else None,
    }


def _describe_nulls(now: NullMonitor) -> dict[str, Any]:
    """The campaign's own error: hidden nulls, and whether anything may be kept."""
    return {
        "tried": now.tried,
        "kept": now.kept,
        "most_percent": None if now.most is None else round(100 * now.most, 2),
        "suspended": now.suspended or None,
        "way_back": now.way_back if now.suspended or now.owed else None,
        "aa_percent": round(now.bias, 3) if now.pairs else None,
        "aa_pairs": now.pairs,
    }


def _describe_loop(desk: Any, ledger: Ledger) -> dict[str, Any] | None:
    """The campaign's newest loop: who drives it, how far it is, why it ended."""
    from lance_autoresearch.campaign.tally import Tally, format_resume, is_loop_running, load_run

    run = load_run(desk)
    if run is None:
        return None
    tally = Tally.count_run(ledger, desk.name, run)
    alive = not run.ended and is_loop_running(desk)
    return {
        "agent": run.agent,
        "agents": [_describe_agent(one, tally, alive) for one in run.agents],
        "running": alive,
        "phase": run.phase,
        "wait_until": run.wait_until if alive else None,
        "wait_why": run.wait_why if alive else "",
        "resume": None if alive or (run.ended and not run.may_go_on) else format_resume(
            desk.name, desk.target, run.agent),
        "ended": run.ended if run.ended or alive else "killed",
        "trials": tally.count,
        "misses": tally.misses,
        "gain": tally.gain,
        "usd": tally.usd,
        "hours": (time.time() - run.begun) / 3600,
        "limits": _list_limits(tally),
    }


def _describe_agent(facts: AgentFacts, tally: Tally, alive: bool) -> dict[str, Any]:
    """One of several agents: what it does now, and what it has brought in this loop."""
    own = [record for record in tally.trials if record.agent == facts.name]
    return {
        "name": facts.name,
        "line": facts.line or None,
        "phase": facts.phase if alive or facts.phase == "ended" else "stopped",
        "seconds": round(time.time() - facts.since, 1) if alive and facts.since else None,
        "wait_until": facts.wait_until if alive else None,
        "wait_why": facts.wait_why if alive else "",
        "ended": facts.ended,
        "trials": len(own),
        "kept": sum(1 for record in own if record.verdict.exit_code == 0),
        "usd": sum(record.cost_usd or 0.0 for record in own),
        "last": own[-1].hypothesis if own else None,
    }


def _list_limits(tally: Tally) -> dict[str, float]:
    """Those of the budget that are set."""
    budget = tally.run.budget
    found = {"trials": budget.trials, "hours": budget.hours, "usd": budget.usd,
             "plateau": budget.plateau, "gain": budget.until_gain}
    return {name: limit for name, limit in found.items() if limit is not None}


def _describe_last_trial(row: Any) -> dict[str, Any]:
    from lance_autoresearch.text.plain_text import strip_text

    record = row.record
    return {
        "id": row.id,
        "created": row.created,
        "verdict": str(record.verdict),
        "gain": record.gain,
        "reason": strip_text(record.reason, 200),
    }


def render_campaign(entry: dict[str, Any]) -> list[str]:
    """One campaign in a few lines."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in entry["trials"].items())
    champion = entry["champion_trial"]
    said = [
        f"{entry['name']}  from {entry['origin']} ({entry['era']}), begun {entry['created']}",
        f"  trials    {counts or 'none yet'}",
        f"  champion  {entry['champion'][:12]} "
        + (f"(trial {champion})" if champion else f"({entry['origin']})"),
    ]
    if loop := entry["loop"]:
        said.append(f"  loop      {_render_loop(loop)}")
        said += [f"    {_render_agent(one)}" for one in loop["agents"]]
    said += [f"  {line}" for line in _render_nulls(entry["nulls"])]
    if entry["last"]:
        last = entry["last"]
        gain = "" if last["gain"] is None else f" {last['gain']:+.2f}%"
        said.append(f"  last      {last['id']} {last['verdict']}{gain}: {last['reason']}")
    if entry["kernel"] is None:
        said.append("  worktree  removed")
    else:
        edited = "  (edited, not judged yet)" if entry["edited"] else ""
        said.append(f"  kernel    {entry['kernel']}{edited}")
    return said


def _render_nulls(nulls: dict[str, Any]) -> list[str]:
    """The results of hidden nulls; nothing before the first one."""
    said = []
    if nulls["tried"]:
        bound = f"at most {nulls['most_percent']:g} % of nulls at 99 %"
        said.append(f"nulls     {nulls['tried']} tried, {nulls['kept']} kept ({bound}); "
                    f"A/A {nulls['aa_percent'] or 0.0:+.2f} % over {nulls['aa_pairs']} pairs")
    if nulls["suspended"]:
        said.append(f"suspended nothing is kept: {nulls['suspended']}")
    if nulls["way_back"]:
        said.append(f"way back  {nulls['way_back']}")
    return said


def _render_agent(agent: dict[str, Any]) -> str:
    """`claude/2  agent since 41 s; 7 trials, 1 kept, 0.82 USD; last: wider loads`."""
    from lance_autoresearch.text.plain_text import strip_text

    now = agent["phase"]
    if agent["seconds"] is not None:
        now += f" since {agent['seconds']:.0f} s"
    if agent["wait_why"]:
        now = f"waiting: {strip_text(agent['wait_why'], 160)}"
    if agent["ended"]:
        now = f"has left: {strip_text(agent['ended'], 160)}"
    cost = f", {agent['usd']:.2f} USD" if agent["usd"] else ""
    last = f"; last: {strip_text(agent['last'], 80)}" if agent["last"] else ""
    name = strip_text(agent["name"], 40)
    if agent["line"]:
        name += f" on {strip_text(agent['line'], 64)}"
    return f"{name:12} {now}; {agent['trials']} trials, {agent['kept']} kept{cost}{last}"


def _render_loop(loop: dict[str, Any]) -> str:
    """`claude: 7 of 50 trials, 1.20 of 5 USD, 2 since the last keep; now: agent`."""
    from lance_autoresearch.text.plain_text import strip_text

    limits = loop["limits"]
    trials = f"{loop['trials']} of {limits['trials']}" if "trials" in limits else loop["trials"]
    line = f"{strip_text(loop['agent'], 40)}: {trials} trials"
    if loop["usd"] or "usd" in limits:
        limit = f" of {limits['usd']:g}" if "usd" in limits else ""
        line += f", {loop['usd']:.2f}{limit} USD"
    line += f", {loop['misses']} since the last keep"
    if loop["running"] and loop["wait_until"]:
        return f"{line}; waiting: {strip_text(loop['wait_why'], 240)}"
    if loop["running"]:
        return f"{line}; now: {loop['phase']}"
    ended = "it was killed" if loop["ended"] == "killed" else f"ended: {loop['ended']}"
    again = loop["resume"]
    named = again is None or again in ended  # the end may name the command already
    return f"{line}; {strip_text(ended, 300)}" + ("" if named else f"; go on with {again}")
