"""Git under our rules: the user's checkout, index, configuration and hooks stay out of it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from campaign_parts import FIRST, TARGET, checkout, git, kernel

from lance_autoresearch.errors import LedgerError
from lance_autoresearch.host.git import CommitNote, Git, parse_testimony
from lance_autoresearch.host.git_worktree import find_abandoned_locks, find_git_dir

KERNEL = f"targets/{TARGET}/kernel/kernels.rs"
REF = f"refs/heads/lar/{TARGET}/a"


def begun(tmp_path: Path) -> tuple[Git, str, str]:
    """A repository, its first commit, and a commit of ours on top that nothing points to."""
    repo = Git(checkout(tmp_path / "r"))
    base = repo.read_head()
    tree = repo.make_tree(base, KERNEL, FIRST, tmp_path / "scratch")
    return repo, base, repo.make_commit(tree, base, "start\n\nLar-Head: abc\n")


def test_a_commit_is_made_without_touching_anything(tmp_path: Path) -> None:
    repo, base, commit = begun(tmp_path)
    assert repo.has_commit(commit)
    assert repo.read_file(commit, KERNEL) == FIRST
    assert repo.read_file(commit, "upstream.toml") == (repo.root / "upstream.toml").read_bytes()
    assert repo.list_refs("refs/") == {"refs/heads/main": base}
    assert git(repo.root, "status", "--porcelain") == ""
    signed = git(repo.root, "show", "-s", "--format=%an <%ae> %cn", commit)
    assert signed == "lar <lar@localhost> lar"
    assert not (tmp_path / "scratch").exists()


def test_a_ref_moves_only_from_where_it_is(tmp_path: Path) -> None:
    repo, base, commit = begun(tmp_path)
    repo.move_ref(REF, commit, old=None)
    with pytest.raises(LedgerError, match="update-ref failed"):
        repo.move_ref(REF, base, old=None)
    with pytest.raises(LedgerError, match="update-ref failed"):
        repo.move_ref(REF, base, old=base)
    repo.move_ref(REF, base, old=commit)
    assert repo.list_refs("refs/heads/lar/") == {REF: base}


def test_hooks_and_configuration_of_the_user_do_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo, base, _ = begun(tmp_path)
    trap = tmp_path / "trapped"
    hooks = repo.root / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    script = tmp_path / "trap.sh"
    script.write_text(f"#!/bin/sh\ntouch {trap}\nexit 1\n")
    script.chmod(0o755)
    for name in ("reference-transaction", "post-checkout", "pre-commit", "commit-msg"):
        (hooks / name).symlink_to(script)
    git(repo.root, "config", "core.fsmonitor", str(script))
    git(repo.root, "config", "commit.gpgSign", "true")
    git(repo.root, "config", "gpg.program", str(script))
    config = tmp_path / "gitconfig"
    config.write_text(f"[core]\n\thooksPath = {hooks}\n[user]\n\tname = X\n")
    before = (repo.root / ".git" / "config").read_bytes(), (repo.root / ".git/index").read_bytes()
    for name, value in {
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_DIR": "/nowhere",
        "GIT_INDEX_FILE": str(tmp_path / "other"),
        "GIT_AUTHOR_NAME": "X",
    }.items():
        monkeypatch.setenv(name, value)
    tree = repo.make_tree(base, KERNEL, kernel(1), tmp_path / "scratch")
    commit = repo.make_commit(tree, base, "one")
    repo.move_ref(REF, commit, old=None)
    repo.add_worktree(tmp_path / "w", f"lar/{TARGET}/a")
    repo.restage_file(tmp_path / "w", KERNEL, commit)
    assert (tmp_path / "w" / KERNEL).read_bytes() == kernel(1)
    assert not trap.exists()
    after = (repo.root / ".git" / "config").read_bytes(), (repo.root / ".git/index").read_bytes()
    assert after == before
    assert repo.run_text("show", "-s", "--format=%an%G?", commit) == "larN"


def test_worktrees_come_and_go(tmp_path: Path) -> None:
    repo, _, commit = begun(tmp_path)
    repo.move_ref(REF, commit, old=None)
    place = tmp_path / "w"
    repo.add_worktree(place, f"lar/{TARGET}/a")
    assert git(place, "status", "--porcelain") == ""
    assert find_git_dir(place) is not None
    repo.remove_worktree(place)
    assert not place.exists()
    assert find_git_dir(place) is None
    repo.add_worktree(place, f"lar/{TARGET}/a")
    assert (place / KERNEL).read_bytes() == FIRST


def test_restage_is_not_blocked_by_a_lock(tmp_path: Path) -> None:
    repo, _, commit = begun(tmp_path)
    repo.move_ref(REF, commit, old=None)
    place = tmp_path / "w"
    repo.add_worktree(place, f"lar/{TARGET}/a")
    inside = find_git_dir(place)
    assert inside is not None
    (inside / "index.lock").touch()
    (inside / "lar-index.lock").touch()
    later = repo.make_commit(
        repo.make_tree(commit, KERNEL, kernel(2), tmp_path / "s"), commit, "two"
    )
    repo.move_ref(REF, later, old=commit)
    repo.restage_file(place, KERNEL, later)
    assert git(place, "diff", "--cached", "--name-only") == ""


def test_only_old_locks_that_no_process_uses_count_as_abandoned(tmp_path: Path) -> None:
    repo, _, commit = begun(tmp_path)
    repo.move_ref(REF, commit, old=None)
    place = tmp_path / "w"
    repo.add_worktree(place, f"lar/{TARGET}/a")
    inside = find_git_dir(place)
    assert inside is not None
    lock = inside / "index.lock"
    lock.touch()
    assert find_abandoned_locks(place) == []
    os.utime(lock, (time.time() - 60, time.time() - 60))
    with subprocess.Popen(
        ["git", "cat-file", "--batch"], cwd=place, stdin=subprocess.PIPE
    ) as working:
        while Path(f"/proc/{working.pid}/comm").read_text().strip() != "git":
            time.sleep(0.01)
        assert find_abandoned_locks(place) == []
        working.communicate()
    assert find_abandoned_locks(place) == [lock]


ORPHANING = """
import fcntl, sys
from pathlib import Path
from lance_autoresearch.host.git import Git
with open(sys.argv[1], "wb") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    repo = Git(Path(sys.argv[2]), lock.fileno())
    print("ready", flush=True)
    repo.run("-c", f"alias.wait=!touch {sys.argv[3]}; sleep 0.7", "wait")
"""


def test_an_orphaned_git_keeps_the_lock_of_its_dead_parent(tmp_path: Path) -> None:
    root = checkout(tmp_path / "r")
    place, started = tmp_path / "lock", tmp_path / "started"
    arguments = [sys.executable, "-c", ORPHANING, str(place), str(root), str(started)]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as process:
        while not started.exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    with place.open("wb") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(lock, fcntl.LOCK_EX)


def test_testimony_is_what_our_commits_carry(tmp_path: Path) -> None:
    repo, base, commit = begun(tmp_path)
    assert repo.read_testimony() == {}
    forged = "idea\n\nLar-Head: forged\n\nLar-Head: def\n"
    later = repo.make_commit(
        repo.make_tree(commit, KERNEL, kernel(2), tmp_path / "s"), commit, forged
    )
    repo.move_ref(REF, later, old=None)
    assert repo.read_testimony() == {commit: CommitNote("abc"), later: CommitNote("def")}
    assert repo.has_testimony(later)
    assert not repo.has_testimony(base)
    assert parse_testimony("no trailer") is None


def test_errors_name_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(LedgerError, match="not a git repository") as caught:
        Git(bare).read_head()
    assert "git init" in str(caught.value.next)
    git(bare, "init", "-q")
    with pytest.raises(LedgerError, match="no commit to branch from"):
        Git(bare).read_head()
    monkeypatch.setenv("PATH", str(bare))
    with pytest.raises(LedgerError, match="git was not found"):
        Git(bare).read_head()
