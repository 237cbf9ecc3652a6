"""Epochs: how long one set of secret pools lives.

    epoch = get_current_epoch(target, ...)  # made on demand, reused for 10 minutes or 50 trials
    epoch.timed, epoch.checks     # pools with upstream's answers
    epoch.drawn                   # cases whose sizes and data are drawn as well

The seed stays in the epoch's directory (mode 0700, hidden from driven agents) until the epoch
ends. Then the directory is removed and a note keeps the seed until the ledger has published it, so
that anyone can make the same pools again and no kernel could have known them in time.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lance_autoresearch.bench.drawn import DrawKind, list_draw, write_draw
from lance_autoresearch.bench.pools import Pool, make_pools
from lance_autoresearch.host.files import write_atomically
from lance_autoresearch.host.lock_files import (
    BusyLock,
    hold_lock_file,
    open_lock_file,
    take_lock,
)
from lance_autoresearch.targets.spec import Combo, Maker, Target

MAX_AGE_S = 600.0
MAX_TRIALS = 50
ENDED = ".ended"
"""Suffix of a note that holds an ended epoch's seed until the ledger has it."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One generation of pools."""

    name: str
    seed: int
    directory: Path
    timed: tuple[Pool, ...]
    checks: tuple[Pool, ...]
    drawn: tuple[Pool, ...] = ()
    lease: int | None = None
    """Descriptor of a shared lock, held while a process measures with these pools. No other
    process ends an epoch in use; else its seed would be public and its files gone in mid-trial."""

    @property
    def over(self) -> bool:
        """Whether the next trial should use new pools."""
        note = _read_note(self.directory)
        return note is None or not _is_young(self.directory, note)

    def release(self) -> None:
        """Release the epoch; the next process that opens it may end it."""
        if self.lease is not None:
            os.close(self.lease)

    def count_trial(self) -> None:
        """Note that one more trial has used these pools."""
        with (self.directory / "trials").open("ab") as file:
            file.write(b".")


Answer = Callable[[Pool], None]
"""Writes a pool's file of expected outputs: runs upstream's library over it."""


def make_epoch(
    target: Target, directory: Path, maker: Maker | None, answer: Answer, *, seed: int | None = None
) -> Epoch:
    """Fresh pools of every timed and checked combo, with upstream's answers.

    `seed` is for public pools only (`lar diff`); by default it is secret.
    """
    chosen = secrets.randbits(62) if seed is None else seed
    public = seed is not None
    timed = make_pools(target, target.timed, directory / "timed", chosen, maker, public=public)
    checks = make_pools(
        target, target.checks, directory / "checks", chosen + 1, maker, public=public
    )
    drawn = write_draw(target, directory / "drawn", chosen, maker, DrawKind.SMALL, public=public)
    for pool in (*timed, *checks, *drawn):
        answer(pool)
    return Epoch(directory.name, chosen, directory, tuple(timed), tuple(checks), tuple(drawn))


@contextmanager
def _lock_directory(parent: Path) -> Iterator[None]:
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with hold_lock_file(parent / "lock", "exclusive", permissions=0o600):
        yield


def get_current_epoch(
    target: Target,
    parent: Path,
    key: str,
    maker: Maker | None,
    answer: Answer,
) -> Epoch:
    """The current epoch of a target, or a fresh one.

    Args:
        parent: `.lar/epochs/<target>`.
        key: digest of target and upstream; pools of another key are not reused.
    """
    with _lock_directory(parent):
        found = [(p, _load_epoch(target, p, key)) for p in sorted(parent.iterdir()) if p.is_dir()]
        for directory, living in found:
            if living is None:
                _end_epoch(directory)
        for directory, living in found:
            if living is not None:
                return replace(living, lease=_take_lease(directory))
        directory = parent / f"{time.strftime('%Y%m%dT%H%M%S')}-{secrets.token_hex(2)}"
        epoch = make_epoch(target, directory, maker, answer)
        note = {"seed": epoch.seed, "key": key, "created": time.time()}
        (directory / "epoch.json").write_text(json.dumps(note))
        return replace(epoch, lease=_take_lease(directory))


@contextmanager
def hold_epoch(directory: Path, key: str) -> Iterator[Callable[[], bool] | None]:
    """Hold a lease on an epoch that another process opened.

    Yields:
        whether the epoch is still young, to be asked again and again; None: it is over already.
    """
    note = _read_note(directory)
    if note is None or note["key"] != key:
        yield None
        return
    lease = _take_lease(directory)
    try:
        yield lambda: _is_young(directory, note)
    finally:
        os.close(lease)


def list_ended(parent: Path) -> tuple[tuple[str, int], ...]:
    """Name and seed of ended epochs whose seeds are not published yet."""
    found = []
    for path in sorted(parent.glob(f"*{ENDED}")) if parent.is_dir() else ():
        with contextlib.suppress(OSError, ValueError):
            found.append((path.name.removesuffix(ENDED), int(path.read_text())))
    return tuple(found)


def forget_ended(parent: Path, ended: Iterable[tuple[str, int]]) -> None:
    """Remove the notes of ended epochs once the ledger holds their seeds."""
    for name, _ in ended:
        (parent / f"{name}{ENDED}").unlink(missing_ok=True)


def _take_lease(directory: Path) -> int:
    lease = open_lock_file(directory / "lease", 0o600)
    take_lock(lease, "shared", None, directory)
    return lease


def _read_note(directory: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((directory / "epoch.json").read_text())
    except (OSError, ValueError):
        return None
    return found


def _is_young(directory: Path, note: dict[str, Any]) -> bool:
    count = directory / "trials"
    used = count.stat().st_size if count.exists() else 0
    return used < MAX_TRIALS and 0 <= time.time() - float(note["created"]) <= MAX_AGE_S


def _load_epoch(target: Target, directory: Path, key: str) -> Epoch | None:
    note = _read_note(directory)
    if note is None or note["key"] != key or not _is_young(directory, note):
        return None
    pools = [
        tuple(
            _load_pool(directory / kind / f"{i:03d}.pool", combo) for i, combo in enumerate(combos)
        )
        for kind, combos in (("timed", target.timed), ("checks", target.checks))
    ]
    drawn = list_draw(target, directory / "drawn", note["seed"], DrawKind.SMALL)
    return Epoch(directory.name, note["seed"], directory, pools[0], pools[1], tuple(drawn))


def _load_pool(path: Path, combo: Combo) -> Pool:
    return Pool(combo, path, path.with_suffix(".expected"))


def _end_epoch(directory: Path) -> None:
    """Remove the pools and leave a note of their seed, unless a process measures with them."""
    try:
        lease = hold_lock_file(directory / "lease", "exclusive", wait_s=0.0, permissions=0o600)
        with lease:
            _remove_epoch(directory)
    except BusyLock:
        return


def _remove_epoch(directory: Path) -> None:
    note = _read_note(directory)
    if note is not None:            # else it was never finished and no process used it
        kept = directory.with_name(f"{directory.name}{ENDED}")
        write_atomically(kept, str(int(note["seed"])).encode(), mode=0o600)
    shutil.rmtree(directory, ignore_errors=True)
