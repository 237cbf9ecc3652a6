"""Carries out a decision: git and the worktree follow the ledger.

A decision is one row. Around it stands an *intent*, a small file written before and removed
when everything follows; a process that finds one knows that another died half-way:

    intent written      a commit object may exist, nothing points to it   -> intent removed
    row written         the decision: from here on the rest must follow   -> all of the below
    branch moved        refs/heads/lar/<target>/<campaign>
    worktree made       of a campaign that begins, unless it stands there whole
    kernel restored     unless the file holds a text no trial has seen: the agent's next idea
    intent removed

`settle_campaign` is both the second half of a keep or revert and its repair. Running it twice
changes nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from lance_autoresearch.errors import LedgerError, RejectedKernel
from lance_autoresearch.host.git import Git
from lance_autoresearch.host.git_worktree import find_abandoned_locks, is_complete, is_linked
from lance_autoresearch.host.kernel_file import place_kernel, read_kernel
from lance_autoresearch.host.lock_files import BusyLock, hold_lock_file
from lance_autoresearch.host.os_errors import explain_os_error
from lance_autoresearch.ledger import Champion, Ledger, find_ledger_path, hash_bytes

KERNEL: Final = "targets/{target}/kernel/kernels.rs"
WAIT_S: Final = 30.0
"""How long a keep waits for another process that works on the same campaign."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What a process was about to do."""

    verb: str
    """create, keep, demote or revert."""
    kernel: str
    """sha256 of the judged kernel."""
    after: int
    """The campaign's newest trial before it."""
    v: int = 1


@dataclass(frozen=True, slots=True)
class CampaignWorkspace:
    """Where a campaign works: its worktree, and a private directory beside it."""

    root: Path
    name: str
    target: str

    @property
    def branch(self) -> str:
        """`lar/<target>/<campaign>`."""
        return f"lar/{self.target}/{self.name}"

    @property
    def ref(self) -> str:
        """Full name of the branch."""
        return f"refs/heads/{self.branch}"

    @property
    def worktree(self) -> Path:
        """`<root>/.lar/work/<campaign>`."""
        return self.root / ".lar" / "work" / self.name

    @property
    def kernel(self) -> str:
        """Path of the kernel inside checkout and worktree."""
        return KERNEL.format(target=self.target)

    @property
    def private(self) -> Path:
        """Lock, intent and temporary files; never inside the worktree."""
        return self.root / ".lar" / "work" / f".{self.name}"

    @property
    def scratch(self) -> Path:
        """A file that may be overwritten at any time under the lock."""
        return self.private / "scratch"

    @contextlib.contextmanager
    def hold_lock(self, wait_s: float = WAIT_S) -> Iterator[Git]:
        """Hold the campaign alone.

        Raises:
            LedgerError: it stays busy for `wait_s`, or a file inside could not be written.
        """
        try:
            with hold_lock_file(self.private / "lock", "exclusive", wait_s=wait_s) as lock:
                yield Git(self.root, lock)
        except BusyLock as error:
            raise LedgerError(
                f"another process works on campaign '{self.name}'", next="lar status"
            ) from error
        except OSError as error:
            raise _explain(error, self.private) from error

    def write_intent(self, intent: Intent) -> None:
        """Write the intent, durably."""
        new = self.private / "intent.new"
        with new.open("w") as file:
            json.dump(asdict(intent), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.private / "intent")

    def read_intent(self) -> Intent | None:
        """The intent that stands, if any."""
        try:
            return Intent(**json.loads((self.private / "intent").read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            return Intent("unknown", "", 0)

    def list_leftovers(self) -> list[Path]:
        """Everything in the private directory but the lock."""
        try:
            return sorted(p for p in self.private.iterdir() if p.name != "lock")
        except FileNotFoundError:
            return []

    def clear_intent(self) -> None:
        """All steps are done: remove the intent, and temporary files before it."""
        for path in sorted(self.list_leftovers(), key=lambda p: p.name == "intent"):
            path.unlink(missing_ok=True)

    def read_digest(self) -> str | None:
        """Digest of what lies in the worktree, None if it is no readable kernel."""
        try:
            return hash_bytes(read_kernel(self.worktree / self.kernel, inside=self.worktree))
        except RejectedKernel:
            return None

    def place_kernel(self, data: bytes) -> None:
        """Put a kernel into the worktree."""
        path = self.worktree / self.kernel
        place_kernel(path, data, inside=self.worktree, scratch=self.scratch)


def _explain(error: OSError, place: Path) -> LedgerError:
    known = explain_os_error(error)
    where = known.where or str(place)
    return LedgerError(f"a file could not be written: {known.what}", where=where, next=known.next)


def settle_campaign(desk: CampaignWorkspace, ledger: Ledger, git: Git) -> list[str]:
    """Let branch, worktree and index follow the ledger; the caller holds `desk.hold_lock()`.

    Returns what was done, in words; empty if all was as it should be.
    """
    intent = desk.read_intent()
    champion = ledger.find_champion(desk.name)
    done = []
    if intent is not None and git.unlock_ref(desk.ref):
        done.append("removed a lock that a killed git left")
    moved, said = _move_branch(desk, champion, ledger, git, owed=intent is not None)
    done += said
    if intent is not None and intent.verb == "create":
        done += _check_out_worktree(desk, champion, ledger, git)
    elif intent is not None and desk.worktree.is_dir():
        done += _restore_champion(desk, intent, champion, ledger)
    if (moved or intent is not None) and desk.worktree.is_dir() and git.has_commit(champion.commit):
        git.restage_file(desk.worktree, desk.kernel, champion.commit)
    desk.clear_intent()
    return done


def _move_branch(
    desk: CampaignWorkspace, champion: Champion, ledger: Ledger, git: Git, *, owed: bool
) -> tuple[bool, list[str]]:
    """Move the branch to the champion's commit. Returns (moved, what to say)."""
    now = git.list_refs(desk.ref).get(desk.ref)
    if now == champion.commit or (now is None and not owed):
        return False, []
    if not git.has_commit(champion.commit):
        return False, [f"commit {champion.commit[:12]} is gone from git; branch left as it is"]
    if now is not None and now not in ledger.list_commits(desk.name) and git.has_testimony(now):
        return False, [
            f"branch left as it is: the ledger names no commit {now[:12]}; lar log --verify"
        ]
    git.move_ref(desk.ref, champion.commit, old=now)
    return True, [f"branch moved from {(now or 'nothing')[:12]} to {champion.commit[:12]}"]


def _check_out_worktree(
    desk: CampaignWorkspace, champion: Champion, ledger: Ledger, git: Git
) -> list[str]:
    """The worktree of a campaign that was being created; a whole one may be in use."""
    if is_complete(desk.worktree):
        return _place_champion(desk, champion, ledger)
    if desk.worktree.exists():
        shutil.rmtree(desk.worktree)
    git.add_worktree(desk.worktree, desk.branch)
    if desk.read_digest() != champion.kernel:
        desk.place_kernel(ledger.get_blob(champion.kernel))
    return [f"worktree made at {desk.worktree}"]


def _restore_champion(
    desk: CampaignWorkspace, intent: Intent, champion: Champion, ledger: Ledger
) -> list[str]:
    """Restore the champion if a judged kernel, or no readable file, lies in its place."""
    later = ledger.list_trials(campaign=desk.name, after=intent.after)
    if not any(row.record.kernel == intent.kernel for row in later):
        return []
    return _place_champion(desk, champion, ledger)


def _place_champion(desk: CampaignWorkspace, champion: Champion, ledger: Ledger) -> list[str]:
    """The champion, unless the file holds a text that no trial has judged."""
    lies = desk.read_digest()
    if lies == champion.kernel or (lies is not None and not ledger.has_kernel(desk.name, lies)):
        return []
    desk.place_kernel(ledger.get_blob(champion.kernel))
    return ["kernel restored to the champion"]


def repair_campaigns(root: Path) -> list[str]:
    """Finish or undo the work of a killed process in any campaign; every command does this first.

    Returns one line per campaign that needed it. A campaign in use by another process is left
    alone. Idempotent; costs one git process and a few reads if all is well.
    """
    if not find_ledger_path(root).exists():
        return []
    said = []
    with Ledger.open(root) as ledger:
        campaigns = ledger.list_campaigns()
        refs = Git(root).list_refs("refs/heads/lar/") if campaigns else {}
        for row in campaigns:
            desk = CampaignWorkspace(root, row.name, row.target)
            commit = ledger.find_champion(row.name).commit
            astray = refs.get(desk.ref) not in (None, commit)
            moved = desk.worktree.is_dir() and not is_linked(desk.worktree)
            if astray or moved or desk.list_leftovers() or find_abandoned_locks(desk.worktree):
                done = _repair_campaign(desk, ledger)
                said += [f"{row.name}: {'; '.join(done)}"] if done else []
        _remove_unborn(root, {row.name for row in campaigns}, ledger)
    return said


def _repair_campaign(desk: CampaignWorkspace, ledger: Ledger) -> list[str]:
    with contextlib.ExitStack() as stack:
        try:
            git = stack.enter_context(desk.hold_lock(wait_s=2.0))
        except LedgerError:
            return []
        done = []
        try:
            if desk.read_intent() is None and _relink_worktree(desk, git):
                done.append("joined to the worktree again, which was moved or copied")
            for lock in find_abandoned_locks(desk.worktree):
                lock.unlink(missing_ok=True)
                done.append(f"removed {lock.name}, left by a killed git")
            return done + settle_campaign(desk, ledger, git)
        except LedgerError as error:  # one campaign must not stop the commands about others
            return [*done, f"not repaired: {' '.join(str(error).split())}"]


def _relink_worktree(desk: CampaignWorkspace, git: Git) -> bool:
    """Join a worktree to this checkout if they do not point to each other."""
    if not desk.worktree.is_dir() or is_linked(desk.worktree):
        return False
    git.repair_worktree(desk.worktree)
    return is_linked(desk.worktree)


def _remove_unborn(root: Path, born: set[str], ledger: Ledger) -> None:
    """Empty the private directory of a campaign whose row was never written."""
    work = root / ".lar" / "work"
    for private in work.glob(".*") if work.is_dir() else ():
        desk = CampaignWorkspace(root, private.name[1:], "")
        if desk.name in born or not desk.list_leftovers():
            continue
        with contextlib.suppress(LedgerError), desk.hold_lock(wait_s=0.0):
            if ledger.find_campaign(desk.name) is None:
                desk.clear_intent()
