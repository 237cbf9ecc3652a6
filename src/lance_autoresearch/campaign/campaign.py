"""A campaign: trials on one target, on a branch of its own, in a worktree of its own.

    campaign = create_campaign(root, "hamming", first_kernel, origin="upstream", era="14.0.2")
    text = campaign.read_kernel()            # the worktree's kernel, read once
    champion = campaign.find_champion()      # what it is compared with
    trial = campaign.record_trial(record, text)  # keep: branch moves; else: kernel restored

The order of a keep: the commit object (nothing points to it; its message carries the chain's
head), one transaction that names it (the decision), then branch and worktree (`settle_campaign`). A
kernel judged outside a worktree is recorded and nothing else: `Ledger.append`.
"""

from __future__ import annotations

import dataclasses
import re
import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import count, product
from pathlib import Path
from typing import Final

from lance_autoresearch.campaign.settle import (
    CampaignWorkspace,
    Intent,
    repair_campaigns,
    settle_campaign,
)
from lance_autoresearch.campaign.witnesses import format_keep_message, verify_ledger
from lance_autoresearch.errors import LarError, LedgerError, UsageError
from lance_autoresearch.host.git import CHECKOUT_TRAILER, HEAD_TRAILER, Git
from lance_autoresearch.host.kernel_file import read_kernel
from lance_autoresearch.host.tier import LOWER_TIERS, read_requested_tier, request_tier
from lance_autoresearch.ledger import Champion, Ledger, hash_bytes
from lance_autoresearch.records import TrialRecord, Verdict
from lance_autoresearch.records.kind import QUERIES
from lance_autoresearch.text.plain_text import strip_text

__all__ = [
    "Campaign",
    "choose_default_name",
    "create_campaign",
    "enter_tier",
    "find_campaign",
    "list_other_edits",
    "load_campaign",
    "repair_campaigns",
    "verify_ledger",
]

TIER_TRAILER: Final = "Lar-Tier"
NAME: Final = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign of a checkout; holds nothing open."""

    root: Path
    name: str
    target: str

    @property
    def desk(self) -> CampaignWorkspace:
        """Its places on disk."""
        return CampaignWorkspace(self.root, self.name, self.target)

    @property
    def worktree(self) -> Path:
        """`<root>/.lar/work/<campaign>`."""
        return self.desk.worktree

    @property
    def branch(self) -> str:
        """`lar/<target>/<campaign>`."""
        return self.desk.branch

    @property
    def kernel_path(self) -> Path:
        """The one file to edit."""
        return self.worktree / self.desk.kernel

    def read_kernel(self) -> bytes:
        """The worktree's kernel, as it is now. Raises RejectedKernel if it is no file."""
        return read_kernel(self.kernel_path, inside=self.worktree)

    def find_champion(self) -> Champion:
        """What the next trial is compared with."""
        with Ledger.open(self.root) as ledger:
            return ledger.find_champion(self.name)

    def read_champion(self) -> bytes:
        """Bytes of the champion's kernel, from the ledger."""
        with Ledger.open(self.root) as ledger:
            return ledger.get_blob(ledger.find_champion(self.name).kernel)

    def read_tier(self) -> str | None:
        """The CPU tier it is optimised at, as its first commit says; None: the machine's own."""
        with Ledger.open(self.root) as ledger:
            row = ledger.find_campaign(self.name)
        if row is None:
            return None
        trailer = f"--format=%(trailers:key={TIER_TRAILER},valueonly)"
        return Git(self.root).run_text("log", "-1", trailer, row.commit).strip() or None

    def record_trial(self, record: TrialRecord, kernel: bytes, *, judged: str = "") -> int:
        """Write a trial and carry out its verdict; returns its id.

        An inconclusive trial leaves the kernel where it is, to be tried again.

        Raises:
            LedgerError: not written (disk full, another process moved the champion), or
                written while git could not follow; the next command repairs that.
        """
        if record.verdict is Verdict.KEEP:
            return self.keep(record, kernel, judged=judged)
        if record.verdict is Verdict.INCONCLUSIVE:
            with Ledger.open(self.root) as ledger:
                mine = self._complete_record(record, kernel, ledger.find_champion(self.name))
                return ledger.append(mine, judged=judged, blobs={"kernel": kernel})
        return self.revert(record, kernel, judged=judged)

    def keep(self, record: TrialRecord, kernel: bytes, *, judged: str = "") -> int:
        """Make a kernel the champion; returns the trial's id. Raises as `record_trial` does."""
        return self._move_champion("keep", record, kernel, judged)

    def _move_champion(
        self, verb: str, record: TrialRecord, kernel: bytes, judged: str
    ) -> int:
        """One commit and one row make `kernel` the champion."""
        with self._open_decision(verb, record, kernel) as (git, ledger, mine, champion):
            path, scratch = self.desk.kernel, self.desk.scratch
            tree = git.make_tree(champion.commit, path, kernel, scratch)
            with ledger.open_transaction():
                self._check_champion(ledger, mine)
                message = format_keep_message(
                    mine, ledger.read_head(), git.read_checkout_id(make=True), verb
                )
                commit = git.make_commit(tree, champion.commit, message)
                blobs = {"kernel": kernel}
                trial = ledger.append(mine, judged=judged, commit=commit, blobs=blobs)
            self._carry_out(ledger, git, trial, verb)
        return trial

    def demote(self, record: TrialRecord, kernel: bytes, *, judged: str = "") -> int:
        """Take the champion back: `kernel`, the champion before it, is restored; returns the id.

        Args:
            record: of kind `queries`; `champion` names the kernel that is demoted.
            judged: the memory key of the keep: proposed again, the kernel is not judged again.

        Raises:
            LedgerError: as `record_trial`.
        """
        return self._move_champion("demote", record, kernel, judged)

    def revert(self, record: TrialRecord, kernel: bytes, *, judged: str = "") -> int:
        """Record a kernel that was not kept and restore the champion's; returns the id.

        The file stays as it is if it holds a text that no trial has judged: the next idea.
        """
        with self._open_decision("revert", record, kernel) as (git, ledger, mine, _):
            trial = ledger.append(mine, judged=judged, blobs={"kernel": kernel})
            self._carry_out(ledger, git, trial, "revert")
        return trial

    @contextmanager
    def _open_decision(
        self, verb: str, record: TrialRecord, kernel: bytes
    ) -> Iterator[tuple[Git, Ledger, TrialRecord, Champion]]:
        with self.desk.hold_lock() as git, Ledger.open(self.root) as ledger:
            if self.desk.read_intent() is not None:
                settle_campaign(self.desk, ledger, git)
            champion = ledger.find_champion(self.name)
            mine = self._complete_record(record, kernel, champion)
            last = ledger.list_trials(campaign=self.name, limit=1)
            self.desk.write_intent(Intent(verb, mine.kernel, last[-1].id if last else 0))
            yield git, ledger, mine, champion

    def _complete_record(
        self, record: TrialRecord, kernel: bytes, champion: Champion
    ) -> TrialRecord:
        """The record with this campaign's name and the champion's trial, checked."""
        if record.kernel != hash_bytes(kernel):
            raise LedgerError("the record is about another kernel than the one given")
        if record.target != self.target:
            raise LedgerError(
                f"a trial of '{record.target}' in a campaign on '{self.target}'",
                allowed=[self.target],
            )
        # A trial that outlived its champion stays a fact, but is no child of the new one.
        follows = record.champion == champion.kernel and record.kind != QUERIES
        parent = champion.trial if follows else record.parent
        return dataclasses.replace(record, campaign=self.name, parent=parent)

    def _check_champion(self, ledger: Ledger, record: TrialRecord) -> None:
        """A kernel is kept only over the champion it was measured against."""
        if ledger.find_champion(self.name).kernel != record.champion:
            raise LedgerError(
                f"the champion of '{self.name}' changed while this trial ran; not recorded",
                next="lar try",
            )

    def _carry_out(self, ledger: Ledger, git: Git, trial: int, verb: str) -> None:
        try:
            settle_campaign(self.desk, ledger, git)
        except (LarError, OSError) as error:
            raise LedgerError(
                f"trial {trial} is recorded ({verb}), but its worktree could not follow: {error}",
                where=str(self.worktree),
                next="lar status (repairs it)",
            ) from error


def create_campaign(
    root: Path,
    target: str,
    kernel: bytes,
    *,
    origin: str,
    era: str = "",
    parent: int | None = None,
    name: str | None = None,
    tier: str | None = None,
) -> Campaign:
    """Begin a campaign: a branch from the checkout's commit plus `kernel`, and a worktree.

    Args:
        kernel: bytes of the starting kernel: its first champion.
        origin: `upstream`, `champion` or `trial 17`, as the ledger will say.
        era: upstream's version.
        parent: the trial the kernel came from, None for upstream's.
        name: lower-case letters, digits, hyphens; by default target, date and a letter.
        tier: optimise at this lower CPU tier (`host.tier.LOWER_TIERS`).

    Raises:
        UsageError: the name is not of that form, or taken.
        LedgerError: no repository, no commit, disk full.
    """
    repair_campaigns(root)
    name = name or choose_default_name(root, target)
    if not NAME.fullmatch(name) or len(name) > 64:
        raise UsageError(
            f"'{name}' cannot be a campaign's name",
            allowed=["at most 64 of a-z, 0-9, single - and _"],
        )
    desk = CampaignWorkspace(root, name, target)
    with desk.hold_lock() as git, Ledger.open(root) as ledger:
        _check_place(desk, ledger, git)
        base = git.read_head()
        desk.write_intent(Intent("create", hash_bytes(kernel), 0))
        tree = git.make_tree(base, desk.kernel, kernel, desk.scratch)
        with ledger.open_transaction():
            head = ledger.read_head()
            trailers = f"{TIER_TRAILER}: {tier}\n" if tier else ""
            trailers += f"{CHECKOUT_TRAILER}: {git.read_checkout_id(make=True)}\n"
            trailers += f"{HEAD_TRAILER}: {head}\n"
            message = f"{target}: start {name} from {origin}\n\n{trailers}"
            ledger.add_campaign(
                name,
                target,
                desk.branch,
                ledger.put_blob(kernel, "kernel"),
                origin=origin,
                parent=parent,
                era=era,
                base=base,
                commit=git.make_commit(tree, base, message),
            )
        settle_campaign(desk, ledger, git)
    return Campaign(root, name, target)


def _check_place(desk: CampaignWorkspace, ledger: Ledger, git: Git) -> None:
    """Raise UsageError for a name that is taken, LedgerError for an unfit repository."""
    if ledger.find_campaign(desk.name) or desk.worktree.exists():
        raise UsageError(f"campaign '{desk.name}' exists already", next="lar status")
    if git.list_refs(desk.ref):
        raise UsageError(
            f"branch {desk.branch} exists already, of another checkout or an older ledger",
            next=f"./lar start {desk.target} --name ANOTHER",
        )
    git.unlock_ref(desk.ref)    # of a start that was killed: the campaign's lock is ours
    git.check_repository(desk.ref)


def choose_default_name(root: Path, target: str, today: date | None = None) -> str:
    """`hamming-20261122a`: the first letter that neither ledger nor git knows."""
    day = (today or datetime.now(UTC).date()).strftime("%Y%m%d")
    with Ledger.open(root) as ledger:
        taken = {row.name for row in ledger.list_campaigns()}
    taken |= {ref.rsplit("/", 1)[1] for ref in Git(root).list_refs(f"refs/heads/lar/{target}/")}
    letters = ("".join(s) for n in count(1) for s in product(string.ascii_lowercase, repeat=n))
    return next(
        name
        for name in (f"{target}-{day}{letter}" for letter in letters)
        if name not in taken and not CampaignWorkspace(root, name, target).worktree.exists()
    )


def load_campaign(root: Path, name: str) -> Campaign:
    """A campaign by name; its worktree is made again if it was removed.

    Raises:
        UsageError: no such campaign.
        LedgerError: its commits are gone from git.
    """
    with Ledger.open(root) as ledger:
        row = ledger.find_campaign(name)
        if row is None:
            names = [c.name for c in ledger.list_campaigns()]
            raise UsageError(f"no campaign '{name}'", allowed=names, next="lar status")
        found = Campaign(root, name, row.target)
        if not found.worktree.exists():
            with found.desk.hold_lock() as git:
                if found.worktree.exists():
                    return found
                found.desk.write_intent(Intent("create", row.start_kernel, 0))
                settle_campaign(found.desk, ledger, git)
    return found


def list_other_edits(campaign: Campaign, worktree: Path) -> str:
    """Files beside the kernel that were changed in a worktree, at most five named."""
    git = Git(campaign.root)
    try:
        status = git.run("status", "--porcelain", "-z", at=worktree) or b""
    except LedgerError:
        return ""
    entries = status.decode("utf-8", "replace").split("\0")
    names = [entry[3:] for entry in entries if entry[2:3] == " "]
    others = [strip_text(name, 80) for name in names if name != campaign.desk.kernel]
    more = f" and {len(others) - 5} more" if len(others) > 5 else ""
    return ", ".join(others[:5]) + more


def enter_tier(campaign: Campaign | None, asked: str | None = None) -> None:
    """Put the CPU tier in force that trials are judged at: the campaign's, or the one asked for.

    Args:
        campaign: None for a kernel that belongs to none.
        asked: `--tier`; None if it was not given.

    Raises:
        UsageError: no such tier, another one than the campaign's, or LAR_TIER forbids it.
    """
    if asked is not None and asked not in LOWER_TIERS:
        raise UsageError(f"no tier '{asked}' below the machine's own", allowed=LOWER_TIERS)
    own, limit = campaign.read_tier() if campaign else asked, read_requested_tier()
    if campaign and asked not in (None, own):
        raise UsageError(
            f"campaign '{campaign.name}' is optimised at {own or 'all that the machine has'}",
            next=f"./lar start {campaign.target} --tier {asked}",
        )
    if own == "avx2" and limit == "scalar":
        raise UsageError("LAR_TIER=scalar leaves less than the tier avx2", next="unset LAR_TIER")
    if own:
        request_tier(own)


def find_campaign(root: Path, cwd: Path) -> Campaign | None:
    """The campaign whose worktree this directory is in; None outside of all worktrees.

    Raises:
        UsageError: a worktree of another checkout, or of a campaign that the ledger lacks.
    """
    here = cwd.resolve()
    for place in (here, *here.parents):
        if place.parent.name == "work" and place.parent.parent.name == ".lar":
            _check_worktree_root(place, root)
            with Ledger.open(root) as ledger:
                row = ledger.find_campaign(place.name)
                names = [campaign.name for campaign in ledger.list_campaigns()]
            if row is None:
                raise UsageError(
                    f"this is the worktree of campaign '{place.name}', which the ledger lacks",
                    where=str(place), allowed=names,
                    next="cd into the checkout or another campaign's worktree",
                )  # fmt: skip
            return Campaign(root, row.name, row.target)
    return None


def _check_worktree_root(worktree: Path, root: Path) -> None:
    outer = worktree.parent.parent.parent
    if outer != root.resolve():
        raise UsageError(
            f"this worktree belongs to the checkout {outer}", where=str(worktree),
            next="unset LAR_ROOT, or cd into the checkout that it names",
        )  # fmt: skip
