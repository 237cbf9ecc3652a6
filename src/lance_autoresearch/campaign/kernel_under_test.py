"""Resolves the kernel to judge and its champion from the directory of the command.

    in a campaign's worktree           its kernel, its champion, kept or reverted
    elsewhere, a campaign on T exists  the newest campaign's kernel, the same
    --kernel FILE                      that file, the target's champion, only judged
    no campaign                        targets/T/kernel/kernels.rs, upstream's code, only judged

If the one that is meant is missing, that is an error: nothing takes its place.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lance_autoresearch.campaign import campaign as campaigns
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.errors import UsageError
from lance_autoresearch.host.kernel_file import read_kernel
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.champion import find_kernel_path, read_champion


@dataclass(frozen=True, slots=True)
class KernelUnderTest:
    """A kernel's text and the champion it has to beat."""

    text: bytes
    path: Path
    champion: bytes | None
    """None: upstream's first kernel."""
    campaign: Campaign | None
    """None: the kernel is only judged."""

    @property
    def unchanged(self) -> bool:
        """A campaign's kernel that is its champion to the byte."""
        return self.campaign is not None and self.text == self.champion

    @property
    def campaign_name(self) -> str | None:
        """Name for the row, or None."""
        return None if self.campaign is None else self.campaign.name


def resolve_kernel(root: Path, target: str, kernel: Path | None, cwd: Path) -> KernelUnderTest:
    """Find the kernel and its champion.

    Raises:
        UsageError: no such target, another target's worktree, a campaign whose kernel is
            missing, or no kernel anywhere.
        RejectedKernel: the file is not a plain file of at most 1 MiB.
    """
    catalogue.load_target(root, target)
    if kernel is not None:
        return KernelUnderTest(read_kernel(kernel), kernel, read_champion(root, target), None)
    mine = campaigns.find_campaign(root, cwd)
    if mine is not None and mine.target != target:
        raise UsageError(
            f"this worktree belongs to campaign '{mine.name}' on {mine.target}",
            next=f"./lar try {mine.target}",
        )
    mine = mine or find_newest_campaign(root, target)
    if mine is not None:
        require_kernel(mine)
        return KernelUnderTest(mine.read_kernel(), mine.kernel_path, mine.read_champion(), mine)
    path, text = find_kernel_path(root, target), read_champion(root, target)
    if text is not None:
        return KernelUnderTest(text, path, None, None)
    raise UsageError(
        f"no campaign on {target} and no kernel of your own yet",
        where=str(path.relative_to(root)),
        next=f"./lar start {target}",
    )


def find_newest_campaign(root: Path, target: str) -> Campaign | None:
    """The campaign on a target that was begun last, whether its worktree is there or not."""
    with Ledger.open(root) as ledger:
        rows = ledger.list_campaigns(target)
    return Campaign(root, rows[-1].name, rows[-1].target) if rows else None


def require_kernel(campaign: Campaign) -> None:
    """Raise UsageError if a campaign's kernel is missing; it names the ways to go on."""
    path, worktree = campaign.kernel_path, campaign.worktree
    if os.path.lexists(path):
        return
    here = worktree.relative_to(campaign.root)
    if not worktree.exists():
        missing, restore = here, f"git worktree add -f {here} {campaign.branch}"
    else:
        missing = path.relative_to(campaign.root)
        restore = f"git -C {here} checkout -- {campaign.desk.kernel}"
    raise UsageError(
        f"campaign '{campaign.name}', the newest on {campaign.target}, has lost its kernel",
        where=str(missing),
        next=f"{restore} (its champion), or ./lar start {campaign.target} (another campaign)",
    )
