"""Git's commits as witnesses of the ledger's chain."""

from __future__ import annotations

from pathlib import Path

from lance_autoresearch.errors import LedgerError
from lance_autoresearch.host.git import CHECKOUT_TRAILER, HEAD_TRAILER, Git
from lance_autoresearch.ledger import Ledger, Verified
from lance_autoresearch.records import TrialRecord
from lance_autoresearch.text.plain_text import strip_text


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


def format_keep_message(
    record: TrialRecord, head: str, checkout: str, verb: str = "keep"
) -> str:
    """Commit message of a keep or a demotion; the trailer that the chain needs comes last."""
    idea = strip_text(record.hypothesis, 1000)
    gain = "" if record.gain is None else f"{record.gain:+.2f}%"
    if record.low is not None and record.high is not None:
        gain += f" ({record.low:+.2f} .. {record.high:+.2f})"
    subject = " ".join(filter(None, (f"{record.target}: {verb}", gain.split(" ")[0], idea[:50])))
    trailers = {
        "Lar-Campaign": record.campaign,
        "Lar-Kernel": record.kernel,
        "Lar-Gain": gain or "none",
        CHECKOUT_TRAILER: checkout,
        HEAD_TRAILER: head,
    }
    tail = "\n".join(f"{name}: {value}" for name, value in trailers.items())
    return f"{subject}\n\n{idea}\n\n{tail}\n" if idea else f"{subject}\n\n{tail}\n"
