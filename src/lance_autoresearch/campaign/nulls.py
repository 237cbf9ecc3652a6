"""Hidden nulls: now and then the champion itself is judged like a candidate.

    run_due_null(coordinator, campaign, show)  before a trial of a campaign

A null goes the whole way of a trial, from admission to confirmation, and is a row of the ledger
of its own kind. It is no idea: no count, curve, plateau or prompt includes it. If one is kept, or
the A/A test is off, nothing is judged until the monitor allows it; a message names what is missing.
"""

from __future__ import annotations

import random
import re
import secrets
from collections.abc import Callable
from typing import NamedTuple

from lance_autoresearch.build.link import ORDERS, SHUFFLED
from lance_autoresearch.calibration.effects import rename_functions, shuffle_functions
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.coordinator import Coordinator, Story
from lance_autoresearch.campaign.null_monitor import NullMonitor, read_monitor
from lance_autoresearch.errors import MachineError
from lance_autoresearch.host.live import Notice
from lance_autoresearch.host.phases import Phases
from lance_autoresearch.ledger import CampaignRow
from lance_autoresearch.records import TrialRecord

SUSPENDED = "keeps are suspended"
AGENT = "null"
"""Who proposed it, in its row."""


class Null(NamedTuple):
    """The champion in disguise."""

    text: bytes
    layout: int | None
    """Link it in this layout; None: its own."""
    about: str
    order: str = SHUFFLED
    """Its objects in this order (`link.ORDERS`)."""


def make_null(coordinator: Coordinator, kind: str, base: bytes, number: int) -> Null:
    """A kernel with nothing to gain over `base`; other bytes, so that it is built again.

    Args:
        kind: `aa` (the same program), `padding` (its functions renamed, in another order, in a
            fresh layout) or `identity` (the same program in a fresh layout).
    """
    mark = f"\n// {kind} {number}\n".encode()
    if kind == "aa":
        return Null(base + mark, None, "the champion, rebuilt")
    layout = secrets.randbits(32) or 1
    if kind == "identity":
        return Null(base + mark, layout, f"Lance's own text, layout {layout}")
    rng, order = random.Random(number), ORDERS[number % len(ORDERS)]
    text = (
        shuffle_functions(rename_functions(base, _find_called_functions(coordinator), rng), rng)
        + mark
    )
    about = f"functions renamed, in order {number}, layout {layout}, {order}"
    return Null(text, layout, about, order)


def _find_called_functions(coordinator: Coordinator) -> set[str]:
    """Functions of a kernel that its contract calls."""
    home = coordinator.bench.root / "targets" / coordinator.target.name
    contract = home / "contract.rs"
    return set(re.findall(r"\bkernels::(\w+)", contract.read_text()))


def run_due_null(
    coordinator: Coordinator, campaign: Campaign, show: Callable[[str], None]
) -> NullMonitor:
    """Do what is due before the next trial: a null, or the A/A tests that end a suspension.

    Args:
        coordinator: with the campaign's champion.

    Raises:
        MachineError: keeps are suspended and stay so; nothing was judged.
    """
    row = coordinator.ledger.find_campaign(campaign.name)
    assert row is not None
    judged = 0
    while True:
        now = read_monitor(coordinator.ledger, row)
        if now.suspended:
            _record_session(coordinator, row, now, show)
        elif now.due and judged < 2:
            show(Notice("a null: the champion is judged like a candidate"))
            coordinator.begin_phases(Phases(show))
            judged += 1
            _judge_null(coordinator, campaign, now.due, now.rows)
        elif now.owed:
            raise _make_suspension_error(now, f"the {now.owed} null could not be judged again")
        else:
            return now


def _record_session(
    coordinator: Coordinator, campaign: CampaignRow, now: NullMonitor, show: Callable[[str], None]
) -> None:
    """One A/A of the champion, written as a session."""
    show(Notice(f"{SUSPENDED}: {now.suspended}; A/A {now.good + 1} of the way back"))
    try:
        bias = 100 * coordinator.measure_noise().bias
    except MachineError as error:
        raise _make_suspension_error(now, error.what) from error
    then = read_monitor(coordinator.ledger, campaign)
    if then.suspended and then.good <= now.good:
        raise _make_suspension_error(now, f"the A/A just now was off by {bias:+.2f}%")


def _make_suspension_error(now: NullMonitor, detail: str) -> MachineError:
    why = now.suspended or "a null was kept"
    return MachineError(
        f"{SUSPENDED}: {why}; {detail}. They come back with {now.way_back}",
        next="./lar doctor; try again when the machine is calmer, --resume goes on with a loop",
    )


def _judge_null(
    coordinator: Coordinator, campaign: Campaign, kind: str, number: int
) -> TrialRecord:
    """One null as a whole trial; its row names it, and no verdict moves the champion."""
    made = make_null(coordinator, kind, coordinator.champion_text, number)
    story = Story(
        f"hidden null: {made.about}", AGENT, kind, campaign.name, layout=made.layout,
        order=made.order,
    )
    return coordinator.attempt(made.text, story).record
