"""Campaigns: what is kept and restored, what is never taken away, and every half-way state."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from campaign_parts import FIRST, TARGET, begin_campaign, checkout, git, kept, kernel, record, tip

from lance_autoresearch.campaign import campaign
from lance_autoresearch.errors import LedgerError, RejectedKernel, UsageError
from lance_autoresearch.host.git import Git
from lance_autoresearch.host.kernel_file import LONGEST, place_kernel, read_kernel
from lance_autoresearch.ledger import Ledger, hash_bytes
from lance_autoresearch.records import Verdict


@pytest.fixture
def mine(tmp_path: Path) -> campaign.Campaign:
    """A fresh campaign in a fresh checkout."""
    return begin_campaign(tmp_path / "r")


def test_a_campaign_leaves_the_checkout_alone(tmp_path: Path) -> None:
    root = checkout(tmp_path / "r")
    (root / "upstream.toml").write_text("edited, not committed\n")
    index, head = (root / ".git" / "index").read_bytes(), git(root, "rev-parse", "HEAD")
    mine = campaign.create_campaign(root, TARGET, FIRST, origin="upstream", era="14.0.2")
    kept(mine, 1)
    assert (root / ".git" / "index").read_bytes() == index
    assert git(root, "rev-parse", "HEAD") == head
    assert git(root, "branch", "--show-current") == "main"
    assert not (root / mine.desk.kernel).exists()
    assert mine.kernel_path == root / ".lar" / "work" / mine.name / mine.desk.kernel
    assert git(mine.worktree, "status", "--porcelain") == ""
    with Ledger.open(root) as ledger:
        row = ledger.find_campaign(mine.name)
    assert row is not None
    assert (row.base, row.origin, row.era, row.parent) == (head, "upstream", "14.0.2", None)


def test_keep_moves_the_champion_and_its_commit_tells_why(mine: campaign.Campaign) -> None:
    with Ledger.open(mine.root) as ledger:
        before = ledger.read_head()
    text = kernel(1)
    mine.kernel_path.write_bytes(text)
    idea = "Lar-Head: forged\n\x1b[31munroll\nLar-Head: forged"
    trial = mine.record_trial(
        record(text, FIRST, Verdict.KEEP, hypothesis=idea), mine.read_kernel()
    )
    assert mine.find_champion().trial == trial
    assert mine.read_champion() == tip(mine) == mine.read_kernel() == text
    message = Git(mine.root).run_text("log", "-1", "--format=%B", mine.branch)
    assert message.startswith("pq-l2: keep +2.50%")
    assert message.endswith(f"Lar-Head: {before}")
    assert "\x1b" not in message
    found = campaign.verify_ledger(mine.root)
    assert (found.fault, found.keeps, found.witnessed) == (None, 2, 2)
    with Ledger.open(mine.root) as ledger:
        row = ledger.get_trial(trial)
    assert (row.record.campaign, row.record.parent) == (mine.name, None)


@pytest.mark.parametrize("verdict", [Verdict.REVERT, Verdict.INCORRECT, Verdict.REJECTED])
def test_what_is_not_kept_is_restored_and_remembered(
    mine: campaign.Campaign, verdict: Verdict
) -> None:
    champion = kept(mine, 1)
    mine.kernel_path.write_bytes(kernel(2))
    trial = mine.record_trial(record(kernel(2), champion, verdict), kernel(2))
    assert mine.read_kernel() == tip(mine) == champion
    with Ledger.open(mine.root) as ledger:
        row = ledger.get_trial(trial)
        assert ledger.get_blob(row.record.kernel) == kernel(2)
    assert row.record.parent == 1
    assert git(mine.worktree, "status", "--porcelain") == ""


def test_an_inconclusive_kernel_stays_to_be_tried_again(mine: campaign.Campaign) -> None:
    mine.kernel_path.write_bytes(kernel(2))
    mine.record_trial(record(kernel(2), FIRST, Verdict.INCONCLUSIVE), kernel(2))
    assert mine.read_kernel() == kernel(2)
    assert tip(mine) == FIRST


def test_the_next_idea_is_not_taken_away(mine: campaign.Campaign) -> None:
    mine.kernel_path.write_bytes(b"the next idea, saved while the trial ran\n")
    mine.record_trial(record(kernel(2), FIRST), kernel(2))
    mine.record_trial(record(kernel(3), FIRST, Verdict.KEEP), kernel(3))
    assert mine.read_kernel() == b"the next idea, saved while the trial ran\n"
    assert tip(mine) == kernel(3)


def test_a_kernel_that_never_lay_in_the_worktree_gets_there_when_kept(
    mine: campaign.Campaign,
) -> None:
    mine.record_trial(record(kernel(3), FIRST, Verdict.KEEP), kernel(3))
    assert mine.read_kernel() == tip(mine) == kernel(3)
    mine.record_trial(record(kernel(4), kernel(3)), kernel(4))
    assert mine.read_kernel() == kernel(3)


def test_a_keep_over_a_champion_that_is_gone_is_refused(mine: campaign.Campaign) -> None:
    kept(mine, 1)
    with pytest.raises(LedgerError, match="changed while this trial ran"):
        mine.record_trial(record(kernel(2), FIRST, Verdict.KEEP), kernel(2))
    assert campaign.repair_campaigns(mine.root) == []
    assert mine.read_champion() == tip(mine) == kernel(1)
    with pytest.raises(LedgerError, match="another kernel"):
        mine.record_trial(record(kernel(2), kernel(1), Verdict.KEEP), kernel(3))


# -- names and places ----------------------------------------------------------------------


def test_names_are_made_in_order_and_never_reused(tmp_path: Path) -> None:
    root = checkout(tmp_path / "r")
    day = date(2026, 11, 22)
    assert campaign.choose_default_name(root, TARGET, day) == "pq-l2-20261122a"
    campaign.create_campaign(root, TARGET, FIRST, origin="upstream", name="pq-l2-20261122a")
    git(root, "branch", "lar/pq-l2/pq-l2-20261122b")
    assert campaign.choose_default_name(root, TARGET, day) == "pq-l2-20261122c"
    with pytest.raises(UsageError, match="exists already"):
        campaign.create_campaign(root, TARGET, FIRST, origin="upstream", name="pq-l2-20261122a")
    for bad in ("..", "a/b", "A", "-a", "a.lock", "a" * 65, "a\n", "a--b"):
        with pytest.raises(UsageError, match="cannot be a campaign's name"):
            campaign.create_campaign(root, TARGET, FIRST, origin="upstream", name=bad)


def test_the_campaign_of_a_directory(mine: campaign.Campaign) -> None:
    assert campaign.find_campaign(mine.root, mine.kernel_path.parent) == mine
    assert campaign.find_campaign(mine.root, mine.worktree) == mine
    assert campaign.find_campaign(mine.root, mine.root) is None
    stranger = mine.root / ".lar" / "work" / "stranger"
    stranger.mkdir()
    with pytest.raises(UsageError, match="'stranger', which the ledger lacks"):
        campaign.find_campaign(mine.root, stranger)
    with pytest.raises(UsageError, match="belongs to the checkout"):
        campaign.find_campaign(mine.root.parent, mine.worktree)


def test_a_removed_worktree_is_made_again_on_demand(mine: campaign.Campaign) -> None:
    champion = kept(mine, 1)
    Git(mine.root).remove_worktree(mine.worktree)
    assert campaign.repair_campaigns(mine.root) == []
    assert not mine.worktree.exists()
    assert campaign.load_campaign(mine.root, mine.name).read_kernel() == champion
    with pytest.raises(UsageError, match="no campaign 'x'"):
        campaign.load_campaign(mine.root, "x")


# -- half-way states -----------------------------------------------------------------------


def test_a_full_disk_keeps_nothing_and_loses_nothing(
    mine: campaign.Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = kept(mine, 1)
    text = b"".join(hash_bytes(b"%d" % n).encode() + b"\n" for n in range(3000))
    mine.kernel_path.write_bytes(text)
    real = Ledger.__init__

    def small(self: Ledger, path: Path) -> None:
        real(self, path)
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        self._db.execute(f"PRAGMA max_page_count = {pages}")

    monkeypatch.setattr(Ledger, "__init__", small)
    with pytest.raises(LedgerError, match="disk is full") as caught:
        mine.record_trial(record(text, champion, Verdict.KEEP), text)
    assert "lar gc" in str(caught.value.next)
    monkeypatch.undo()
    assert campaign.repair_campaigns(mine.root) == []
    assert tip(mine) == mine.read_champion() == champion
    assert mine.read_kernel() == text
    assert campaign.verify_ledger(mine.root).fault is None
    mine.record_trial(record(text, champion, Verdict.KEEP), text)
    assert tip(mine) == text


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB; needs the right to mount."""
    place = tmp_path / "tiny"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no right to mount a small file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_wherever_the_disk_gets_full_nothing_is_half_kept(tiny: Path) -> None:
    mine = campaign.create_campaign(checkout(tiny / "r"), TARGET, FIRST, origin="upstream")
    filler = tiny / "filler"
    failed = 0
    for pages in range(0, 40, 3):
        champion = mine.read_champion()
        noise = "".join(hash_bytes(b"%d %d" % (pages, n)) for n in range(300))
        text = b"// " + noise.encode() + b"\n"
        mine.kernel_path.write_bytes(text)
        free = os.statvfs(tiny).f_bavail - pages
        with filler.open("wb") as file:
            file.write(bytes(free * os.statvfs(tiny).f_bsize))
        recorded = None
        try:
            recorded = mine.record_trial(record(text, champion, Verdict.KEEP), text)
        except LedgerError as error:
            failed += 1
            assert error.next, error
        filler.unlink()
        campaign.repair_campaigns(mine.root)
        assert campaign.repair_campaigns(mine.root) == []
        with Ledger.open(mine.root) as ledger:
            decided = ledger.list_trials(campaign=mine.name)[-1:]
        is_kept = bool(decided) and decided[0].record.kernel == hash_bytes(text)
        assert is_kept or recorded is None
        assert tip(mine) == mine.read_champion() == (text if is_kept else champion)
        assert mine.read_kernel() == text, "kept, or not judged: never taken away"
        assert campaign.verify_ledger(mine.root).fault is None
    assert 0 < failed < 14, "the disk was never full, or always"


# -- the file ------------------------------------------------------------------------------


def test_only_a_plain_file_of_bounded_length_is_read(tmp_path: Path) -> None:
    path = tmp_path / "kernels.rs"
    with pytest.raises(RejectedKernel, match="there is no kernel"):
        read_kernel(path)
    os.mkfifo(path)
    with pytest.raises(RejectedKernel, match="not a regular file"):
        read_kernel(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(RejectedKernel, match="not a regular file"):
        read_kernel(path)
    path.rmdir()
    (tmp_path / "secret").write_bytes(b"secret")
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(RejectedKernel, match="not a regular file"):
        read_kernel(path)
    path.unlink()
    path.write_bytes(b"x" * LONGEST)
    assert len(read_kernel(path)) == LONGEST
    path.write_bytes(b"x" * (LONGEST + 1))
    with pytest.raises(RejectedKernel, match="longer than 1048576 bytes"):
        read_kernel(path)


def test_links_on_the_way_are_followed_neither_to_read_nor_to_write(
    mine: campaign.Campaign, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kernels.rs").write_bytes(b"precious")
    directory = mine.kernel_path.parent
    mine.kernel_path.unlink()
    directory.rmdir()
    directory.symlink_to(outside)
    with pytest.raises(RejectedKernel):
        mine.read_kernel()
    mine.record_trial(record(kernel(1), FIRST), kernel(1))
    assert (outside / "kernels.rs").read_bytes() == b"precious"
    assert mine.read_kernel() == FIRST
    mine.kernel_path.unlink()
    directory.rmdir()
    os.mkfifo(directory)  # opening it like a file would wait for ever
    with pytest.raises(RejectedKernel):
        mine.read_kernel()
    mine.record_trial(record(kernel(2), FIRST), kernel(2))
    assert mine.read_kernel() == FIRST


def test_whatever_stands_in_the_kernels_place_is_swept_away(
    mine: campaign.Campaign, tmp_path: Path
) -> None:
    path = mine.kernel_path
    path.unlink()
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "file").touch()
    mine.record_trial(record(kernel(1), FIRST), kernel(1))
    assert mine.read_kernel() == FIRST
    path.unlink()
    os.mkfifo(path)
    place_kernel(path, kernel(3), inside=mine.worktree, scratch=mine.desk.scratch)
    assert mine.read_kernel() == kernel(3)
