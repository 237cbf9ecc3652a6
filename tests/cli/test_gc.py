"""`lar gc`: bounded disk, and nothing that is needed or in use is touched."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from pathlib import Path

import pytest
from campaign_parts import FIRST, checkout, kernel, record

from lance_autoresearch.campaign.campaign import create_campaign
from lance_autoresearch.campaign.tally import Run, find_loop_dir, load_run, lock_loop, save_run
from lance_autoresearch.cli.gc import (
    DAY_S,
    DisposableDir,
    choose_disposable,
    collect_garbage,
    list_disposable,
)
from lance_autoresearch.errors import UsageError
from lance_autoresearch.host import scratch
from lance_autoresearch.ledger import Ledger, find_ledger_path, hash_bytes
from lance_autoresearch.records import Verdict

MB = 1_000_000


def built(root: Path, name: str, days: float, size: int = MB) -> Path:
    """A build directory last used so many days ago."""
    home = root / ".lar" / "cache" / "kernels" / name
    home.mkdir(parents=True)
    (home / "libkernels.so").write_bytes(os.urandom(size))
    when = time.time() - days * DAY_S
    os.utime(home, (when, when))
    return home


def backdate(root: Path, days: float) -> None:
    """Make all blobs older; the ledger itself would refuse."""
    db = sqlite3.connect(find_ledger_path(root))
    fence = "blobs_no_update"
    (sql,) = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (fence,)).fetchone()
    db.execute(f"DROP TRIGGER {fence}")
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - days * DAY_S))
    db.execute("UPDATE blobs SET created = ?", (when,))
    db.execute(sql)
    db.commit()
    db.close()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = checkout(tmp_path)
    monkeypatch.setenv("LAR_ROOT", str(home))
    return home


def test_old_builds_go_and_young_ones_stay(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, young = built(root, "old", 40), built(root, "young", 3)
    assert collect_garbage(dry_run=True) == 0
    assert old.exists() and "would free 1.0 MB" in capsys.readouterr().out
    assert collect_garbage() == 0
    assert not old.exists() and young.exists()


def test_a_limit_takes_the_least_recently_used_first(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    homes = [built(root, f"b{days}", days) for days in (1, 2, 3)]
    assert collect_garbage(max_gb=0.0025, json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert [home.exists() for home in homes] == [True, True, False]
    assert said["builds"] == 1 and said["left"] <= 2.5 * MB


def test_what_was_used_within_the_hour_stays_under_any_limit(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = built(root, "now", 0)
    assert collect_garbage(max_gb=0.0001) == 0
    assert home.exists()
    assert "over the limit" in capsys.readouterr().out


def test_a_limit_never_drops_a_row_or_a_kept_kernel(root: Path) -> None:
    campaign = create_campaign(root, "pq-l2", FIRST, origin="upstream")
    campaign.record_trial(record(kernel(1), FIRST, Verdict.KEEP), kernel(1))
    campaign.record_trial(record(kernel(2), kernel(1)), kernel(2))
    with Ledger.open(root) as ledger:
        before = ledger.list_trials()
        assert ledger.drop_old_blobs(days=30, at_least=1) == [], (
            "a blob of the last hour may be in use"
        )
    backdate(root, 2)
    assert collect_garbage(max_gb=0.000001) == 0
    with Ledger.open(root) as ledger:
        assert ledger.list_trials() == before and ledger.verify_chain().fault is None
        assert ledger.find_blob(hash_bytes(kernel(1))) == kernel(1)
        assert ledger.find_blob(hash_bytes(FIRST)) == FIRST
        assert ledger.find_blob(hash_bytes(kernel(2))) is None


def test_blobs_go_no_further_than_the_limit_asks(root: Path) -> None:
    texts = [os.urandom(1000) for _ in range(5)]
    with Ledger.open(root) as ledger:
        for text in texts:
            ledger.put_blob(text)
    backdate(root, 2)
    with Ledger.open(root) as ledger:
        dropped = ledger.drop_old_blobs(days=30, at_least=2500)
        assert len(dropped) == 3 and len(ledger.list_blobs()) == 2


def test_forgotten_scratch_is_found(root: Path) -> None:
    left = root / ".lar" / "tmp" / "bench-abc"
    left.mkdir(parents=True)
    killed = root / ".lar" / "tmp" / "kernels-ab12"
    killed.mkdir()
    killed.with_name("kernels-ab12.owner").touch()
    with scratch.hold_scratch(root, "bench") as mine:
        assert {thing.path for thing in list_disposable(root)} == set(), "ours lives, one is young"
        left.mkdir(exist_ok=True)
        aged(left)
        assert {thing.path for thing in list_disposable(root)} == {left}
        scratch.sweep_scratch(root)
        assert not killed.exists() and not left.exists() and mine.exists()


def aged(path: Path, days: float = 40.0) -> None:
    when = time.time() - days * DAY_S
    os.utime(path, (when, when))


def test_homes_of_agents_go_when_their_loop_has_long_ended(root: Path) -> None:
    mine = create_campaign(root, "pq-l2", FIRST, origin="upstream")
    save_run(mine.desk, Run("claude", ended="5 trials done"))
    loop = find_loop_dir(mine.desk)
    home = loop / "agent" / "claude"
    home.mkdir(parents=True)
    (home / "session.jsonl").write_bytes(os.urandom(MB))
    for path in (home, home.parent, loop / "loop.json"):
        aged(path)
    with lock_loop(mine.desk):
        assert collect_garbage() == 0 and home.exists(), "its loop runs"
    assert collect_garbage() == 0 and not home.exists()
    assert load_run(mine.desk) is not None


def test_programs_that_tests_installed_go_when_no_test_has_used_them_for_long(root: Path) -> None:
    home, lock = root / ".lar" / "agents", root / ".lar" / "agents.lock"
    home.mkdir(parents=True)
    lock.touch()
    aged(home)
    assert collect_garbage() == 0 and home.exists()
    aged(lock)
    assert collect_garbage() == 0 and not home.exists()


def test_the_choice_is_by_age_then_by_need() -> None:
    now = 100 * DAY_S
    found = [DisposableDir(Path(str(days)), 10, now - days * DAY_S) for days in (50, 5, 4, 3)]
    assert [t.path.name for t in choose_disposable(found, now, 30, 0)] == ["50"]
    assert [t.path.name for t in choose_disposable(found, now, 30, 25)] == ["50", "5", "4"]
    assert choose_disposable(found, now, 60, 0) == []


def test_a_limit_of_nothing_is_refused(root: Path) -> None:
    with pytest.raises(UsageError, match="max-gb"):
        collect_garbage(max_gb=0)
