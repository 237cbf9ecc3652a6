"""`lar start`: begin a campaign, a branch and worktree of its own."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from cyclopts import Parameter


class Beginning(NamedTuple):
    """The kernel a campaign starts with."""

    text: bytes
    origin: str
    """`upstream`, `champion` or `trial 17`: for the ledger."""
    parent: int | None
    """The trial it came from."""


def start_campaign(
    target: str,
    *,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    name: str | None = None,
    tier: Literal["avx2", "scalar"] | None = None,
    json: bool = False,
) -> int:
    """Begin a campaign on its own branch and worktree.

    The checkout, its index and its branch are left as they are. Edit the one file that is
    printed, then ask for a verdict; a kept kernel becomes the next champion.

    Args:
        target: name of the target.
        from_: `upstream` (Lance's own code, made afresh), `champion` (the newest kept kernel, or
            the one under targets/), or a trial's number. By default the champion, if there is one.
        name: of the campaign; by default target, date and a letter.
        tier: optimise at this lower CPU tier, avx2 or scalar: all trials of the campaign are judged
            as on a processor that has no more.
        json: one JSON object instead of text.
    """
    from lance_autoresearch import oracle
    from lance_autoresearch.campaign import campaign
    from lance_autoresearch.host.checkout import find_root
    from lance_autoresearch.targets import catalogue

    root = find_root()
    for line in campaign.repair_campaigns(root):
        print(line, file=sys.stderr)
    catalogue.load_target(root, target)
    campaign.enter_tier(None, tier)
    oracle.fetch_upstream(root)
    era = oracle.load_manifest(root).version
    begun = resolve_beginning(root, target, from_, era)
    check_first_champion(root, target, begun)
    mine = campaign.create_campaign(
        root, target, begun.text, origin=begun.origin, era=era, parent=begun.parent, name=name,
        tier=tier,
    )  # fmt: skip
    kernel = mine.kernel_path
    following = f'./lar try {target} -m "what you changed and why"'
    if json:
        body = {"v": 1, "campaign": mine.name, "target": target, "branch": mine.branch}
        where = {"origin": begun.origin, "tier": tier, "kernel": str(kernel), "next": following}
        print(json_module.dumps(body | where))
        return 0
    at = f", optimised at tier {tier}" if tier else ""
    print(f"campaign {mine.name} on branch {mine.branch}, from {begun.origin}{at}")
    print(f"edit     {_shorten_path(kernel)}")
    print(f"next     {following}")
    return 0


def check_first_champion(root: Path, target: str, begun: Beginning) -> None:
    """Compare a champion with Lance before a campaign begins from it.

    A machine that cannot compare it is no reason to refuse: the loop asks again.

    Raises:
        UsageError: it is wrong, or refused.
    """
    from lance_autoresearch.campaign.champion_check import check_beginning
    from lance_autoresearch.errors import MachineError

    if begun.origin == "upstream":
        return
    try:
        check_beginning(root, target, begun.text, where=f"{target}, from {begun.origin}")
    except MachineError as error:
        print(f"note: the champion was not compared with Lance: {error.what}", file=sys.stderr)


def _shorten_path(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def resolve_beginning(root: Path, target: str, wanted: str | None, era: str) -> Beginning:
    """The kernel that `--from` names.

    Raises:
        UsageError: no champion, no such trial, a trial of another target, another word.
        LedgerError: the trial's kernel was dropped by `lar gc`.
    """
    from lance_autoresearch.errors import UsageError

    if wanted is not None and wanted.isdecimal():
        return _begin_from_trial(root, target, int(wanted))
    if wanted in (None, "champion"):
        found = _begin_from_champion(root, target, era)
        if found is not None:
            return found
        if wanted == "champion":
            raise UsageError(
                f"{target} has no champion of release {era} yet",
                next=f"./lar start {target} --from upstream",
            )
    elif wanted != "upstream":
        raise UsageError(
            f"cannot start from '{wanted}'", allowed=["upstream", "champion", "a trial's number"]
        )
    from lance_autoresearch.build.builder import compose_first_kernel

    return Beginning(compose_first_kernel(root, target), "upstream", None)


def _begin_from_trial(root: Path, target: str, number: int) -> Beginning:
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.ledger import Ledger

    with Ledger.open(root) as ledger:
        record = ledger.get_trial(number).record
        if record.target != target:
            raise UsageError(
                f"trial {number} is about {record.target}", next=f"./lar log {target}"
            )
        return Beginning(ledger.get_blob(record.kernel), f"trial {number}", number)


def _begin_from_champion(root: Path, target: str, era: str) -> Beginning | None:
    """The newest keep of this release in the ledger, else the kernel the checkout carries."""
    from lance_autoresearch.ledger import Ledger
    from lance_autoresearch.targets.champion import read_champion

    with Ledger.open(root) as ledger:
        kept = ledger.find_last_keep(target)
        campaign = (
            ledger.find_campaign(kept.record.campaign) if kept and kept.record.campaign else None
        )
        if kept is not None and campaign is not None and campaign.era == era:
            return Beginning(ledger.get_blob(kept.record.kernel), "champion", kept.id)
    text = read_champion(root, target)
    return None if text is None else Beginning(text, "champion", None)
