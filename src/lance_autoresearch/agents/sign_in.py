"""Sign-in files of agents: lent to a private home, collected when the program has renewed them.

    files = SignInFiles(store, home_of_the_person, (".codex/auth.json",), "claude setup-token ...")
    notes = files.lend(private_home)       # before each turn
    notes = files.collect(private_home)    # after each turn

A program that signs in with a file renews its tokens in its private home; the service may then
refuse the older ones. So the newest copy is kept in the store, `.lar/sign-in/AGENT/`, for all
campaigns, and the person's own file is taken only where it is newer: it changed since it was taken,
and the copy did not, or expires earlier. The person's own files are never written. When copy and
own file part, a note says so once, with the way to sign in that does not have this problem.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lance_autoresearch.agents.reset_time import parse_moment
from lance_autoresearch.host.files import write_atomically

LARGEST = 1 << 20
"""Bytes of a sign-in file; a larger one is not taken."""
EXPIRIES = ("expiresAt", "expires_at", "expiry_date", "expiry", "last_refresh", "exp")
"""Names under which the programs write until when, or since when, a token is good."""


class SignInFiles:
    """The sign-in files of one agent in one checkout."""

    def __init__(self, store: Path, person: Path, names: Sequence[str], advice: str) -> None:
        """Args:
            store: the directory of the kept copies; made when it is needed.
            person: the person's own home.
            names: of the files, from a home.
            advice: a way to sign in without files.
        """
        self._store, self._person, self._names = store, person, tuple(names)
        self._advice = advice

    def lend(self, home: Path) -> list[str]:
        """Put the newest of each file into a private home; returns notes for people.

        Called before each turn, since another loop may have renewed the sign-in meanwhile.
        """
        notes = self._recover(home)
        for name in self._names:
            notes += self._take_own(name)
            kept = _read(self._store / name)
            if kept is not None:
                if kept != _read(home / name):
                    write_atomically(home / name, kept, mode=0o600)
                self._note(f"lent {home.absolute()} {name}", kept)
        return notes

    def collect(self, home: Path) -> list[str]:
        """Keep what the program renewed in its private home; returns notes for people."""
        notes = []
        for name in self._names:
            ours, kept = _read(home / name), _read(self._store / name)
            if ours is None or ours == kept or not _is_whole(ours):
                continue
            write_atomically(self._store / name, ours, mode=0o600)
            self._note(f"lent {home.absolute()} {name}", ours)
            if _hash(kept) == self._taken(name):  # the first time since it was taken
                notes.append(
                    f"the agent renewed its sign-in: the newer {name} is kept for the next loop, "
                    f"your own ~/{name} may be refused from now on; sign in again there if it is, "
                    f"or avoid this: {self._advice}"
                )
        return notes

    def _recover(self, home: Path) -> list[str]:
        """Collect what a loop that was killed in mid-turn left in a home, unless it is older."""
        for name in self._names:
            ours, kept = _read(home / name), _read(self._store / name)
            lent = self._read_state().get(f"lent {home.absolute()} {name}")
            renewed = ours is not None and lent is not None and _hash(ours) != lent
            if ours is not None and renewed and (kept is None or _is_newer(ours, kept)):
                return self.collect(home)
        return []

    def _take_own(self, name: str) -> list[str]:
        """Take the person's file over the kept copy, if it is newer."""
        own, kept = _read(self._person / name), _read(self._store / name)
        if own is None or _hash(own) == self._taken(name):
            return []
        if own == kept:
            self._note(name, own)
            return []
        notes = []
        if kept is not None and _hash(kept) != self._taken(name):  # both changed
            if not _is_newer(own, kept):
                self._note(name, own)
                return [f"your own ~/{name} changed, but the agent's copy is newer and stays; "
                        f"{self._advice}"]
            notes = [f"your own ~/{name} is newer than the agent's renewed copy and replaces it"]
        write_atomically(self._store / name, own, mode=0o600)
        self._note(name, own)
        return notes

    def _taken(self, name: str) -> str | None:
        """Digest of the person's file as it was last seen, or None."""
        found = self._read_state().get(name)
        return found if isinstance(found, str) else None

    def _note(self, key: str, data: bytes) -> None:
        state = self._read_state() | {key: _hash(data)}
        write_atomically(self._store / "taken.json", json.dumps(state).encode(), mode=0o600)

    def _read_state(self) -> dict[str, Any]:
        try:
            found = json.loads((self._store / "taken.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _read(path: Path) -> bytes | None:
    """A plain file's bytes; None for anything else. The agent may have put a link or pipe there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode) or not 0 < about.st_size <= LARGEST:
            return None
        return file.read(LARGEST)


def _hash(data: bytes | None) -> str | None:
    return None if data is None else hashlib.sha256(data).hexdigest()


def _is_whole(data: bytes) -> bool:
    """Whether it is a JSON object with something in it: half a file is not kept."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and bool(found)


def _is_newer(own: bytes, kept: bytes) -> bool:
    """Whether the person's file expires later; without a date in both it counts as newer: they
    have just signed in."""
    mine, theirs = _find_expiry(own), _find_expiry(kept)
    return mine is None or theirs is None or mine >= theirs


def _find_expiry(data: bytes) -> float | None:
    try:
        moments = [parse_moment(value) for key, value in _walk(json.loads(data))
                   if key in EXPIRIES]
    except (ValueError, RecursionError):
        return None
    return max((moment for moment in moments if moment is not None), default=None)


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _walk(inner)
