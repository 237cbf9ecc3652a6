"""Hidden nulls: now and then the champion itself is judged like a candidate.

    watch(coordinator, campaign, show)      before a trial of a campaign

A null goes the whole way of a trial, from admission to confirmation, and is a row of the ledger
of its own kind. It is no idea: no count, curve, plateau or prompt knows it. If one is kept, or
A/A is off, nothing is judged until the way back is gone; what must be true is told.
"""

from __future__ import annotations

import random
import re
import secrets
from collections.abc import Callable
from typing import NamedTuple

from lance_autoresearch.build.link import ORDERS, SHUFFLED
from lance_autoresearch.calibration.effects import renamed, shuffled
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.coordinator import Coordinator, Story
from lance_autoresearch.campaign.standing import Standing, standing
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


def null(coordinator: Coordinator, kind: str, base: bytes, number: int) -> Null:
    """A kernel with nothing to gain over `base`; other bytes, so that it is built anew.

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
    text = shuffled(renamed(base, _called(coordinator), rng), rng) + mark
    about = f"functions renamed, in order {number}, layout {layout}, {order}"
    return Null(text, layout, about, order)


def _called(coordinator: Coordinator) -> set[str]:
    """Functions of a kernel that its contract calls."""
    home = coordinator.bench.root / "targets" / coordinator.target.name
    contract = home / "contract.rs"
    return set(re.findall(r"\bkernels::(\w+)", contract.read_text()))


def watch(
    coordinator: Coordinator, campaign: Campaign, show: Callable[[str], None]
) -> Standing:
    """Do what is due before the next trial: a null, or the way back.

    Args:
        coordinator: with the campaign's champion.

    Raises:
        MachineError: keeps are suspended and did not come back; nothing was judged.
    """
    row = coordinator.ledger.campaign(campaign.name)
    assert row is not None
    judged = 0
    while True:
        now = standing(coordinator.ledger, row)
        if now.suspended:
            _one_step_back(coordinator, row, now, show)
        elif now.due and judged < 2:
            show(Notice("a null: the champion is judged like a candidate"))
            coordinator.begin_phases(Phases(show))
            judged += 1
            _judge(coordinator, campaign, now.due, now.rows)
        elif now.owed:
            raise _suspended(now, f"the {now.owed} null could not be judged again")
        else:
            return now


def _one_step_back(
    coordinator: Coordinator, campaign: CampaignRow, now: Standing, show: Callable[[str], None]
) -> None:
    """One A/A of the champion, written as a session."""
    show(Notice(f"{SUSPENDED}: {now.suspended}; A/A {now.good + 1} of the way back"))
    try:
        bias = 100 * coordinator.measure_noise().bias
    except MachineError as error:
        raise _suspended(now, error.what) from error
    then = standing(coordinator.ledger, campaign)
    if then.suspended and then.good <= now.good:
        raise _suspended(now, f"the A/A just now was off by {bias:+.2f}%")


def _suspended(now: Standing, detail: str) -> MachineError:
    why = now.suspended or "a null was kept"
    return MachineError(
        f"{SUSPENDED}: {why}; {detail}. They come back with {now.way_back}",
        next="./lar doctor; try again when the machine is calmer, --resume goes on with a loop",
    )


def _judge(
    coordinator: Coordinator, campaign: Campaign, kind: str, number: int
) -> TrialRecord:
    """One null as a whole trial; its row names it and moves nothing, whatever the verdict."""
    made = null(coordinator, kind, coordinator.champion_text, number)
    story = Story(
        f"hidden null: {made.about}", AGENT, kind, campaign.name, layout=made.layout,
        order=made.order,
    )
    return coordinator.attempt(made.text, story).record
