"""What a loop prints: one row a trial and the end in a few words, or events as JSON lines.

    #12  revert    -1.84%  2.1 s  rewrite unroll hamming: loop 2 by 4
                           slower
"""

from __future__ import annotations

import json as json_module
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.coordinator import FinishedTrial
from lance_autoresearch.campaign.hooks import Hooks, notify
from lance_autoresearch.campaign.loop import Budget, Progress
from lance_autoresearch.campaign.null_monitor import read_monitor
from lance_autoresearch.host.live import Live, Notice
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.records import Verdict
from lance_autoresearch.text.kind_gains import format_kind_gain, sum_kind_gains
from lance_autoresearch.text.plain_text import strip_text


def make_event_printer() -> Callable[[str], None]:
    """Progress as JSON lines for programs: what is worth a line, once."""
    last = ""

    def show(text: str) -> None:
        nonlocal last
        if text != last and isinstance(text, Notice):
            last = text
            body = {"v": 1, "event": "progress", "text": strip_text(text, 300)}
            print(json_module.dumps(body), flush=True)

    return show


def print_begin(
    where: Campaign, agent: str, budget: Budget, json: bool, resume: bool
) -> None:
    """The beginning of a loop, as an event."""
    if json:
        limits = {name: value for name, value in asdict(budget).items() if value is not None}
        body = {"v": 1, "event": "begin", "campaign": where.name, "target": where.target,
                "agent": agent, "resume": resume, "limits": limits}
        print(json_module.dumps(body), flush=True)


def print_trial(
    done: FinishedTrial, live: Live, json: bool, where: Campaign, hooks: Hooks, *,
    named: bool = False,
) -> None:
    """Show a finished trial as two lines or as an event; call the person's command on a keep.

    Args:
        named: say which agent proposed it.
    """
    if json:
        print(json_module.dumps({"event": "trial", **done.as_json()}), flush=True)
    else:
        live.clear()
        print(describe_row(done, named=named), flush=True)
    if done.record.verdict is Verdict.KEEP and not done.remembered:
        notify(hooks.keep, hooks, {"event": "keep", "campaign": where.name, **done.as_json()})


def print_end(progress: Progress, where: Campaign, json: bool, hooks: Hooks) -> None:
    """Show the end of a loop in a few words or as an event; call the person's command."""
    tally = progress.tally
    kept = sum(1 for record in tally.trials if record.verdict is Verdict.KEEP)
    body = {
        "v": 1, "event": "end", "campaign": where.name, "target": where.target,
        "ended": progress.ended, "trials": tally.count, "kept": kept,
        "gain": round(tally.gain, 3), "cost_usd": round(tally.usd, 6),
        "tokens": tally.run.lost_tokens + sum(r.tokens or 0 for r in tally.trials),
        "rewrites": [asdict(row) for row in sum_kind_gains(tally.trials)],
        "complaints": progress.complaints[-5:], **_summarize_nulls(where),
    }
    try:
        _print_summary(progress, body, json)
    except OSError:  # the reader of the output is gone, with the terminal or the pipe
        if progress.signal is None:
            raise
    finally:
        notify(hooks.end, hooks, body)


def _print_summary(progress: Progress, body: dict[str, Any], json: bool) -> None:
    tally = progress.tally
    if json:
        print(json_module.dumps(body), flush=True)
    else:
        cost = f", {tally.usd:.2f} USD" if tally.usd else ""
        print(f"{tally.count} trials, {body['kept']} kept{cost}: {progress.ended}")
        if body["nulls"]:
            print(f"  hidden nulls of the campaign: {body['nulls_kept']} of {body['nulls']} kept "
                  f"(at most {body['nulls_most_percent']:g} % of nulls at 99 %)")
        for row in sum_kind_gains(tally.trials):
            print(f"  {format_kind_gain(row)}")
        for complaint in dict.fromkeys(progress.complaints[-3:]):
            print(f"  without a candidate: {complaint}", flush=True)


def _summarize_nulls(where: Campaign) -> dict[str, Any]:
    """The campaign's own error, for its end."""
    with Ledger.open(where.root) as ledger:
        row = ledger.find_campaign(where.name)
        assert row is not None
        now = read_monitor(ledger, row)
    most = None if now.most is None else round(100 * now.most, 2)
    return {"nulls": now.tried, "nulls_kept": now.kept, "nulls_most_percent": most}


def describe_row(done: FinishedTrial, *, named: bool = False) -> str:
    """One finished trial in two lines: numbers and idea, then the reason."""
    record = done.record
    gain = "" if record.gain is None else f"{record.gain:+.2f}%"
    took = "from memory" if done.remembered else f"{record.seconds:.1f} s"
    idea = strip_text(record.hypothesis, 60)
    reason = strip_text(record.reason.splitlines()[0] if record.reason else "", 110)
    cost = "" if record.cost_usd is None else f"  {record.cost_usd:.3f} USD"
    if named:
        idea = f"{strip_text(record.agent, 24)}: {idea}"
    return (
        f"#{done.number:<4} {record.verdict:<12} {gain:>8}  {took:>11}{cost}  {idea}\n"
        f"      {reason}"
    )
