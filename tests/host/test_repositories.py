"""Campaigns in every kind of repository that git supports, or a refusal before anything is made."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from campaign_parts import FIRST, TARGET, checkout, git, kept, kernel, tip

from lance_autoresearch.campaign import campaign
from lance_autoresearch.errors import LedgerError, UsageError
from lance_autoresearch.ledger import Ledger


def start(root: Path, **more: str) -> campaign.Campaign:
    return campaign.create_campaign(root, TARGET, FIRST, origin="upstream", era="14.0.2", **more)


def take_files(source: Path, to: Path) -> None:
    for name in ("targets", "upstream.toml", ".gitignore"):
        copy: Callable[..., object] = shutil.copytree if name == "targets" else shutil.copy
        copy(source / name, to / name)
    git(to, "add", "-A")
    git(to, "commit", "-q", "-m", "start")


def make_sha256(place: Path) -> Path:
    root = place / "sha256"
    root.mkdir()
    git(root, "init", "-q", "--object-format=sha256")
    take_files(checkout(place / "source"), root)
    return root


def make_reftable(place: Path) -> Path:
    try:
        git(checkout(place / "source"), "clone", "-q", "--ref-format=reftable", ".", "../table")
    except subprocess.CalledProcessError:
        pytest.skip("this git has no reftable")
    return place / "table"


def make_shallow(place: Path) -> Path:
    source = checkout(place / "source")
    git(source, "commit", "-q", "--allow-empty", "-m", "second")
    git(place, "clone", "-q", "--depth=1", f"file://{source}", "shallow")
    return place / "shallow"


def make_linked(place: Path) -> Path:
    git(checkout(place / "source"), "worktree", "add", "-q", str(place / "linked"), "-b", "other")
    return place / "linked"


def make_linked_to_bare(place: Path) -> Path:
    git(checkout(place / "source"), "clone", "-q", "--bare", ".", "../bare.git")
    git(place / "bare.git", "worktree", "add", "-q", str(place / "linked"), "main")
    return place / "linked"


def make_submodule(place: Path) -> Path:
    source, outer = checkout(place / "source"), place / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(source), "lar")
    return outer / "lar"


def make_detached(place: Path) -> Path:
    root = checkout(place / "detached")
    git(root, "checkout", "-q", "--detach")
    return root


def make_sparse(place: Path) -> Path:
    root = checkout(place / "sparse")
    git(root, "sparse-checkout", "set", "--no-cone", "/upstream.toml", "/.gitignore")
    return root


def make_partial(place: Path) -> Path:
    source = checkout(place / "source")
    git(source, "config", "uploadpack.allowFilter", "true")
    git(place, "clone", "-q", "--filter=blob:none", f"file://{source}", "partial")
    return place / "partial"


def make_separate_dir(place: Path) -> Path:
    git(checkout(place / "source"), "clone", "-q", "--separate-git-dir=../apart", ".", "../apart-w")
    return place / "apart-w"


def make_odd_path(place: Path) -> Path:
    return checkout(place / "50% of $HOME, 'quoted' \"twice\"; ünï\tcode")


KINDS = {
    function.__name__.removeprefix("make_"): function
    for function in (
        make_sha256, make_reftable, make_shallow, make_linked, make_linked_to_bare,
        make_submodule, make_detached, make_sparse, make_partial, make_separate_dir, make_odd_path,
    )
}  # fmt: skip


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_campaign_works(tmp_path: Path, kind: str) -> None:
    root = KINDS[kind](tmp_path)
    mine = start(root)
    assert mine.read_kernel() == FIRST and (mine.worktree / "upstream.toml").is_file()
    text = kept(mine, 1)
    assert tip(mine) == text == mine.read_kernel()
    mine.kernel_path.write_bytes(kernel(2))
    assert campaign.repair_campaigns(root) == []
    assert mine.read_kernel() == kernel(2), "an idea stays"
    found = campaign.verify_ledger(root)
    assert (found.fault, found.witnessed, found.keeps) == (None, 2, 2)
    (mine.desk.private / "intent").write_text("torn")
    campaign.repair_campaigns(root)
    assert campaign.repair_campaigns(root) == []


@pytest.mark.parametrize("kind", ["linked", "linked_to_bare"])
def test_checkouts_that_share_branches_raise_no_alarm_for_each_other(
    tmp_path: Path, kind: str
) -> None:
    one = KINDS[kind](tmp_path)
    two = tmp_path / "two"
    git(one, "worktree", "add", "-q", "--detach", str(two))
    first, second = start(one), start(two)
    assert first.name != second.name
    kept(first, 1)
    kept(second, 2)
    for root in (one, two):
        found = campaign.verify_ledger(root)
        assert (found.fault, found.witnessed) == (None, 2)
        assert campaign.repair_campaigns(root) == []
    with pytest.raises(UsageError, match="of another checkout"):
        start(two, name=first.name)


def test_a_ledger_that_lost_its_rows_is_still_found_beside_another_checkout(
    tmp_path: Path
) -> None:
    one = make_linked(tmp_path)
    other = start(tmp_path / "source")
    early = one / "early.sqlite"
    mine = start(one)
    with Ledger.open(one) as ledger:
        ledger._db.execute("VACUUM INTO ?", (str(early),))
    kept(mine, 1)
    kept(other, 2)
    for path in (one / ".lar").glob("ledger.sqlite*"):
        path.unlink()
    early.rename(one / ".lar" / "ledger.sqlite")
    assert "is named by no row" in (campaign.verify_ledger(one).fault or "")
    for path in (one / ".lar").glob("ledger.sqlite*"):
        path.unlink()
    Ledger.open(one).close()
    assert "is named by no row" in (campaign.verify_ledger(one).fault or ""), "an emptied one too"
    assert campaign.verify_ledger(tmp_path / "source").fault is None


def test_commits_of_older_releases_count(tmp_path: Path) -> None:
    root = checkout(tmp_path / "r")
    start(root)
    git(root, "commit", "-q", "--allow-empty", "-m", "old\n\nLar-Head: abc")
    git(root, "branch", f"lar/{TARGET}/old")
    assert "is named by no row" in (campaign.verify_ledger(root).fault or "")


@pytest.mark.parametrize("how", ["moved", "copied"])
def test_a_checkout_that_was_moved_or_copied_has_its_worktrees_again(
    tmp_path: Path, how: str
) -> None:
    old, new = checkout(tmp_path / "old"), tmp_path / "new"
    begun = start(old)
    kept(begun, 1)
    if how == "moved":
        old.rename(new)
    else:
        shutil.copytree(old, new, symlinks=True)
    assert "joined to the worktree again" in campaign.repair_campaigns(new)[0]
    mine = campaign.Campaign(new, begun.name, TARGET)
    text = kept(mine, 2)
    assert git(mine.worktree, "status", "--short") == "" and tip(mine) == text
    assert campaign.verify_ledger(new).fault is None
    assert campaign.repair_campaigns(new) == []
    if how == "copied":
        assert tip(begun) == kernel(1) == begun.read_kernel()
        assert git(begun.worktree, "status", "--short") == ""
        assert campaign.repair_campaigns(old) == []


def inside_another(place: Path) -> Path:
    outer = place / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    inner = outer / "vendor" / "lar"
    shutil.copytree(checkout(place / "source"), inner, ignore=shutil.ignore_patterns(".git"))
    git(outer, "add", "-A")
    git(outer, "commit", "-q", "-m", "vendored")
    return inner


def bare(place: Path) -> Path:
    git(checkout(place / "source"), "clone", "-q", "--bare", ".", "../bare.git")
    return place / "bare.git"


def without_commit(place: Path) -> Path:
    place.joinpath("empty").mkdir()
    git(place / "empty", "init", "-q")
    return place / "empty"


def with_a_branch_in_the_way(place: Path) -> Path:
    root = checkout(place / "r")
    git(root, "branch", "lar")
    return root


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (inside_another, "only the folder vendor/lar/ of another repository"),
        (bare, "a bare repository"),
        (without_commit, "no commit to branch from"),
        (with_a_branch_in_the_way, "'refs/heads/lar' exists"),
    ],
)
def test_what_cannot_hold_a_campaign_is_refused_before_a_row_is_written(
    tmp_path: Path, make: Callable[[Path], Path], what: str
) -> None:
    root = make(tmp_path)
    with pytest.raises(LedgerError, match=what):
        start(root)
    with Ledger.open(root) as ledger:
        assert ledger.list_campaigns() == []
    assert campaign.repair_campaigns(root) == []


def test_a_lock_on_all_refs_that_a_killed_git_left_is_removed(tmp_path: Path) -> None:
    root = make_reftable(tmp_path)
    mine = start(root)
    lock = root / ".git" / "reftable" / "tables.list.lock"
    lock.touch()
    import os
    os.utime(lock, (0, 0))
    (mine.desk.private / "intent").write_text('{"verb": "keep", "kernel": "", "after": 0, "v": 1}')
    campaign.repair_campaigns(root)
    assert not lock.exists()
    assert kept(mine, 1) == tip(mine)


def test_one_campaign_that_cannot_be_repaired_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = checkout(tmp_path / "r")
    bad, good = start(root), start(root)
    git(root, "update-ref", "-d", bad.desk.ref)
    git(root, "branch", f"{bad.branch}/in-the-way")
    (bad.desk.private / "intent").write_text("torn")
    (said,) = campaign.repair_campaigns(root)
    assert said.startswith(f"{bad.name}: ") and "not repaired" in said
    assert kept(good, 1) == tip(good)
