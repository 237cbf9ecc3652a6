"""Repair: every half-way state of a campaign is led to what the ledger says."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pytest
from campaign_parts import FIRST, begin_campaign, git, kept, kernel, record, tip

from lance_autoresearch.campaign import campaign
from lance_autoresearch.campaign.settle import Intent
from lance_autoresearch.errors import LedgerError
from lance_autoresearch.host.git import Git
from lance_autoresearch.host.git_worktree import find_git_dir
from lance_autoresearch.ledger import Ledger, find_ledger_path, hash_bytes
from lance_autoresearch.records import Verdict


@pytest.fixture
def mine(tmp_path: Path) -> campaign.Campaign:
    """A fresh campaign in a fresh checkout."""
    return begin_campaign(tmp_path / "r")


def test_a_commit_without_a_row_changes_nothing(mine: campaign.Campaign) -> None:
    mine.kernel_path.write_bytes(kernel(1))
    with mine.desk.hold_lock() as repo:
        mine.desk.write_intent(Intent("keep", hash_bytes(kernel(1)), 0))
        commit = mine.find_champion().commit
        tree = repo.make_tree(commit, mine.desk.kernel, kernel(1), mine.desk.scratch)
        repo.make_commit(tree, commit, "keep\n\nLar-Head: abc\n")
        mine.desk.scratch.write_bytes(b"half a file")
    assert campaign.repair_campaigns(mine.root) == []
    assert tip(mine) == FIRST
    assert mine.read_kernel() == kernel(1), "a kernel nobody has judged yet was taken away"
    assert [p.name for p in mine.desk.private.iterdir()] == ["lock"]
    assert campaign.verify_ledger(mine.root).fault is None


def test_a_kernel_tried_again_survives_a_death_before_its_row(mine: campaign.Campaign) -> None:
    mine.record_trial(record(kernel(1), FIRST), kernel(1))
    mine.kernel_path.write_bytes(kernel(1))
    mine.desk.write_intent(Intent("revert", hash_bytes(kernel(1)), 1))
    assert campaign.repair_campaigns(mine.root) == []
    assert mine.read_kernel() == kernel(1)


def rowed(mine: campaign.Campaign, text: bytes) -> str:
    """The state after the deciding transaction of a keep and before anything follows."""
    with mine.desk.hold_lock() as repo, Ledger.open(mine.root) as ledger:
        mine.desk.write_intent(Intent("keep", hash_bytes(text), 0))
        champion = ledger.find_champion(mine.name)
        tree = repo.make_tree(champion.commit, mine.desk.kernel, text, mine.desk.scratch)
        with ledger.open_transaction():
            head = ledger.read_head()
            commit = repo.make_commit(tree, champion.commit, f"keep\n\nLar-Head: {head}\n")
            entry = record(text, FIRST, Verdict.KEEP, campaign=mine.name)
            ledger.append(entry, commit=commit, blobs={"kernel": text})
    return commit


def test_a_row_whose_branch_did_not_follow(mine: campaign.Campaign) -> None:
    mine.kernel_path.write_bytes(kernel(1))
    commit = rowed(mine, kernel(1))
    assert tip(mine) == FIRST
    (line,) = campaign.repair_campaigns(mine.root)
    assert line.startswith(f"{mine.name}: branch moved from")
    assert Git(mine.root).list_refs(mine.desk.ref)[mine.desk.ref] == commit
    assert mine.read_kernel() == tip(mine) == kernel(1)
    assert git(mine.worktree, "status", "--porcelain") == ""
    assert campaign.repair_campaigns(mine.root) == []


def test_a_branch_that_moved_before_the_worktree_followed(mine: campaign.Campaign) -> None:
    before = mine.find_champion().commit
    Git(mine.root).move_ref(mine.desk.ref, rowed(mine, kernel(1)), old=before)
    mine.kernel_path.unlink()
    (line,) = campaign.repair_campaigns(mine.root)
    assert "kernel restored" in line
    assert mine.read_kernel() == tip(mine) == kernel(1)
    assert git(mine.worktree, "status", "--porcelain") == ""
    assert campaign.repair_campaigns(mine.root) == []


def test_a_revert_whose_kernel_was_not_restored(mine: campaign.Campaign) -> None:
    mine.kernel_path.write_bytes(kernel(5))
    mine.desk.write_intent(Intent("revert", hash_bytes(kernel(5)), 0))
    with Ledger.open(mine.root) as ledger:
        ledger.append(record(kernel(5), FIRST, campaign=mine.name))
    (line,) = campaign.repair_campaigns(mine.root)
    assert line == f"{mine.name}: kernel restored to the champion"
    assert mine.read_kernel() == FIRST
    # Written again by hand it is an edit, not a leftover: nobody owes its removal.
    mine.kernel_path.write_bytes(kernel(5))
    assert campaign.repair_campaigns(mine.root) == []
    assert mine.read_kernel() == kernel(5)


def test_locks_of_a_killed_git_are_removed(mine: campaign.Campaign) -> None:
    commit = rowed(mine, kernel(1))
    ours = mine.root / ".git" / f"{mine.desk.ref}.lock"
    ours.touch()
    inside = find_git_dir(mine.worktree)
    assert inside is not None
    theirs = inside / "index.lock"
    theirs.touch()
    os.utime(theirs, (time.time() - 60, time.time() - 60))
    users = mine.root / ".git" / "index.lock"
    users.touch()
    campaign.repair_campaigns(mine.root)
    assert not ours.exists()
    assert not theirs.exists()
    assert users.exists(), "the lock of the user's own checkout is none of our business"
    assert Git(mine.root).list_refs(mine.desk.ref)[mine.desk.ref] == commit


def test_a_campaign_in_use_is_left_alone(mine: campaign.Campaign) -> None:
    rowed(mine, kernel(1))
    with mine.desk.hold_lock():
        assert campaign.repair_campaigns(mine.root) == []
        assert tip(mine) == FIRST
        with pytest.raises(LedgerError, match="another process works"), mine.desk.hold_lock(0.01):
            pass
    assert campaign.repair_campaigns(mine.root) != []


def test_commits_by_hand_are_set_aside(mine: campaign.Campaign) -> None:
    mine.kernel_path.write_bytes(kernel(9))
    git(mine.worktree, "commit", "-qam", "by hand")
    (line,) = campaign.repair_campaigns(mine.root)
    assert "branch moved" in line
    assert tip(mine) == FIRST
    assert mine.read_kernel() == kernel(9)


# -- tampering with the end ----------------------------------------------------------------


def test_rows_deleted_at_the_end_are_missed_and_repair_keeps_the_evidence(
    mine: campaign.Campaign,
) -> None:
    kept(mine, 1)
    kept(mine, 2)
    db = sqlite3.connect(find_ledger_path(mine.root))
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    db.execute("DELETE FROM trials WHERE id = 2")
    db.commit()
    db.close()
    assert "rows after 2 are missing" in str(campaign.verify_ledger(mine.root).fault)
    (line,) = campaign.repair_campaigns(mine.root)
    assert "the ledger names no commit" in line
    assert tip(mine) == kernel(2)
    assert "rows after 2 are missing" in str(campaign.verify_ledger(mine.root).fault)


def test_a_chain_rewritten_from_the_start_disagrees_with_git(mine: campaign.Campaign) -> None:
    from lance_autoresearch.ledger import chain

    mine.record_trial(record(kernel(1), FIRST), kernel(1))
    kept(mine, 2)
    db = sqlite3.connect(find_ledger_path(mine.root))
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    rows = [values for table, values in chain.walk_rows(db) if table == "trials"]
    rows[0]["gain"] = 50.0
    last = rows[0]["prev"]
    for values in rows:
        values["prev"] = last
        last = values["digest"] = chain.hash_row("trials", values)
        db.execute(
            "UPDATE trials SET gain = ?, prev = ?, digest = ? WHERE id = ?",
            (values["gain"], values["prev"], last, values["id"]),
        )
    db.commit()
    db.close()
    with Ledger.open(mine.root) as ledger:
        assert "schema was changed" in str(ledger.verify_chain().fault), (
            "rows agree among themselves"
        )
    fault = str(campaign.verify_ledger(mine.root).fault)
    assert fault.startswith("trial 2 ")
    assert "carries another chain head" in fault
