"""Where one of several agents works: a worktree and a private home of its own.

    place = make_place(campaign, 2)     # a fresh worktree at the champion's commit
    place.put_kernel(champion)          # what the agent begins its turn with
    remove_place(campaign, place)       # the worktree goes, the home stays

The worktree follows no branch: nothing is decided in it. The campaign's own worktree stays free for
a person and always holds the champion.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.tally import find_loop_dir
from lance_autoresearch.errors import LedgerError, RejectedKernel
from lance_autoresearch.host.kernel_file import place_kernel, read_kernel


@dataclass(frozen=True, slots=True)
class AgentPlace:
    """An agent's own directories."""

    worktree: Path
    kernel: str
    """Path of the kernel inside the worktree."""
    home: Path

    @property
    def kernel_path(self) -> Path:
        """The one file to edit."""
        return self.worktree / self.kernel

    def read_kernel(self) -> bytes | None:
        """The text that lies there; None: no plain file."""
        try:
            return read_kernel(self.kernel_path, inside=self.worktree)
        except RejectedKernel:
            return None

    def put_kernel(self, text: bytes) -> None:
        """Put a kernel there, whole or not at all."""
        scratch = self.worktree.with_name(f"{self.worktree.name}.new")
        place_kernel(self.kernel_path, text, inside=self.worktree, scratch=scratch)


def make_place(campaign: Campaign, number: int) -> AgentPlace:
    """A fresh worktree for one agent; what an earlier loop left in its place goes.

    Args:
        number: of the agent in its loop, from 1.

    Raises:
        LedgerError: git cannot make it.
    """
    loop_dir = find_loop_dir(campaign.desk)
    tree, home = loop_dir / "trees" / str(number), loop_dir / "agent" / str(number)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    tree.parent.mkdir(exist_ok=True, mode=0o700)
    with campaign.desk.hold_lock() as git:
        shutil.rmtree(tree, ignore_errors=True)
        git.add_detached_worktree(tree, campaign.find_champion().commit)
    return AgentPlace(tree, campaign.desk.kernel, home)


def remove_place(campaign: Campaign, place: AgentPlace) -> None:
    """Remove an agent's worktree; what cannot go now goes when the next loop begins."""
    with contextlib.suppress(LedgerError), campaign.desk.hold_lock() as git:
        git.remove_worktree(place.worktree)
