"""Epochs: pools are shared while young, made anew when worn, and never pulled from under a user."""

from __future__ import annotations

from pathlib import Path

import pytest

from lance_autoresearch.bench import epoch as epochs
from lance_autoresearch.bench.epoch import Epoch, forget_ended, get_current_epoch, list_ended
from lance_autoresearch.bench.pools import Pool
from lance_autoresearch.targets.catalogue import load_target

ROOT = Path(__file__).resolve().parents[2]


class Book:
    """What a coordinator writes to the ledger."""

    def __init__(self) -> None:
        self.begun: dict[str, int] = {}
        self.ended: dict[str, int] = {}

    def take(self, parent: Path, key: str = "k") -> Epoch:
        def answer(pool: Pool) -> None:
            pool.expected.write_bytes(b"")

        epoch = get_current_epoch(load_target(ROOT, "pq-l2"), parent, key, None, answer)
        self.begun[epoch.name] = epoch.seed
        ended = list_ended(parent)
        self.ended |= dict(ended)
        forget_ended(parent, ended)
        assert list_ended(parent) == ()
        return epoch


def test_young_pools_are_shared_and_worn_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epochs, "MAX_TRIALS", 2)
    book = Book()
    first = book.take(tmp_path)
    assert book.take(tmp_path).name == first.name
    first.count_trial()
    assert not first.over
    first.count_trial()
    assert first.over
    first.release()
    second = book.take(tmp_path)
    assert second.name != first.name
    assert second.seed != first.seed
    assert set(book.begun) == {first.name, second.name}


def test_an_epoch_in_use_is_neither_published_nor_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epochs, "MAX_TRIALS", 1)
    book = Book()
    user = book.take(tmp_path)
    user.count_trial()
    other = book.take(tmp_path)
    assert other.name != user.name
    assert user.timed[0].path.exists()
    assert not book.ended
    user.release()
    book.take(tmp_path).release()
    assert book.ended == {user.name: user.seed}
    assert not user.directory.exists()


def test_pools_of_other_rules_are_not_used(tmp_path: Path) -> None:
    book = Book()
    before = book.take(tmp_path, "before")
    before.release()
    after = book.take(tmp_path, "after")
    assert after.name != before.name
    assert book.ended == {before.name: before.seed}


def test_only_the_owner_may_look(tmp_path: Path) -> None:
    found = Book().take(tmp_path)
    assert (found.directory / "timed").stat().st_mode & 0o077 == 0
