"""Git's commits as witnesses of the ledger's chain."""

from __future__ import annotations

from pathlib import Path

from lance_autoresearch.errors import LedgerError
from lance_autoresearch.host.git import Git
from lance_autoresearch.ledger import Ledger, Verified


def verify_ledger(root: Path) -> Verified:
    """Walk the ledger's chain with git's commits as witnesses."""
    with Ledger.open(root) as ledger:
        return ledger.verify_chain(_collect_witnesses(Git(root), ledger))


def _collect_witnesses(git: Git, ledger: Ledger) -> dict[str, str]:
    """Commit -> ledger head of every commit of ours; commits of other checkouts do not count.

    A commit belongs to this ledger if a row names it, if it says that it was made in this
    checkout or in one whose commits the rows name, or if it does not say where it was made.
    """
    rows = ledger.list_campaigns()
    try:
        said = git.read_testimony()
        own = {git.read_checkout_id(), ""}
    except LedgerError:
        if rows:
            raise
        return {}                   # there may be no git beside a ledger without a campaign
    named = {commit for row in rows for commit in ledger.list_commits(row.name)}
    own |= {said[commit].checkout for commit in named if commit in said}
    return {
        commit: testimony.head
        for commit, testimony in said.items()
        if commit in named or testimony.checkout in own
    }
