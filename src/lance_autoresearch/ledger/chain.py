"""The chain of digests: it makes an edit of the ledger show.

    digest = sha256(canonical JSON of {"table": "trials", every column but digest})

and `prev`, one of those columns, is the digest of the row before. An edit of a row breaks its own
digest; the removal of one breaks the next; a rewrite of all that follows breaks the heads that git
commits carry. Rows cut off at the end show if a commit names a head that is gone, or if no row
names a campaign's commit.
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lance_autoresearch.ledger.schema import NAMES, list_statements

GENESIS: Final = "0" * 64
"""`prev` of the first row."""

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of a walk along the chain."""

    rows: int
    """Chained rows, all tables."""
    trials: int
    keeps: int
    """Rows that name a git commit."""
    witnessed: int
    """Of those, rows whose commit exists in git and carries the right head."""
    head: str
    fault: str | None
    """The first broken row and why, or None."""


def encode_canonical(values: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8: equal data, equal bytes."""
    text = json.dumps(
        values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def hash_row(table: str, values: Mapping[str, Any]) -> str:
    """Digest of one row; `values` holds every column, `digest` itself is left out."""
    body = {name: values[name] for name in NAMES[table] if name != "digest"}
    return hashlib.sha256(encode_canonical({"table": table, **body})).hexdigest()


def make_plain(value: Any) -> Any:
    """A JSON-able copy: tuples become lists, numbers Python's own, inf and nan their names."""
    if isinstance(value, Mapping):
        return {clean_text(str(key)): make_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [make_plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean_text(str(value))
    if isinstance(value, int):
        return int(value)
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "item"):  # a NumPy scalar; NumPy itself is not imported here
        return make_plain(value.item())
    number = float(value)
    return number if math.isfinite(number) else str(number)


def clean_text(text: str) -> str:
    """Text that SQLite and UTF-8 can hold: no NUL, no lone surrogate."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def normalize_float(value: float | None) -> float | None:
    """A float as SQLite gives it back: finite, and no negative zero."""
    if value is None or not math.isfinite(value):
        return None
    return float(value) + 0.0


def walk_rows(db: sqlite3.Connection) -> Iterator[tuple[str, Values]]:
    """(table, columns) of every chained row, in the order of `seq`."""
    places = " UNION ALL ".join(f"SELECT seq, '{table}' AS t, id FROM {table}" for table in NAMES)
    for _, table, row in db.execute(f"SELECT * FROM ({places}) ORDER BY seq"):
        names = NAMES[table]
        found = db.execute(f"SELECT {', '.join(names)} FROM {table} WHERE id = ?", (row,))
        yield table, dict(zip(names, found.fetchone(), strict=True))


def read_head(db: sqlite3.Connection) -> tuple[int, str]:
    """(seq, digest) of the last row; (0, GENESIS) of an empty ledger."""
    tops = " UNION ALL ".join(
        f"SELECT * FROM (SELECT seq, digest FROM {table} ORDER BY seq DESC LIMIT 1)"
        for table in NAMES
    )
    found = db.execute(f"SELECT * FROM ({tops}) ORDER BY seq DESC LIMIT 1").fetchone()
    return (int(found[0]), str(found[1])) if found else (0, GENESIS)


def verify_chain(db: sqlite3.Connection, commits: Mapping[str, str]) -> Verified:
    """Walk the whole chain.

    Args:
        commits: commit id -> the head in its message, from git, for every commit of ours on a
            campaign branch. Empty: rows are checked among themselves only.
    """
    seq, last, fault = 0, GENESIS, None
    trials = keeps = witnessed = 0
    named: set[str] = set()
    for table, values in walk_rows(db):
        seq += 1
        fault = fault or _find_break(table, values, seq, last)
        trials += table == "trials"
        commit = values.get("keep_commit") or values.get("start_commit")
        if commit:
            keeps += 1
            named.add(commit)
            witnessed += commits.get(commit) == values["prev"]
            if commit in commits and commits[commit] != values["prev"]:
                where = _name_row(table, values)
                fault = fault or f"{where}: commit {commit[:12]} carries another chain head"
        last = values["digest"]
    fault = fault or _find_cut_off(commits, named, seq) or _find_missing_fences(db)
    return Verified(seq, trials, keeps, witnessed, last, fault)


def _name_row(table: str, values: Values) -> str:
    what = {"trials": "trial", "campaigns": "campaign", "sessions": "session"}.get(table, table)
    return f"{what} {values['id']} (row {values['seq']} of the chain)"


def _find_break(table: str, values: Values, seq: int, last: str) -> str | None:
    """Why a row does not fit, or None."""
    if values["seq"] != seq:
        return f"row {seq} of the chain is missing; next is {_name_row(table, values)}"
    try:
        digest = hash_row(table, values)
    except (TypeError, ValueError):
        digest = ""
    if digest != values["digest"]:
        return f"{_name_row(table, values)}: its digest does not match its content"
    if values["prev"] != last:
        return f"{_name_row(table, values)}: it does not follow the row before it"
    return None


def _find_cut_off(commits: Mapping[str, str], named: set[str], seq: int) -> str | None:
    """Rows removed from the end leave a commit of ours that no row names."""
    for commit, carried in commits.items():
        if commit not in named:
            return (
                f"rows after {seq} are missing: commit {commit[:12]}, made after the row with "
                f"digest {carried[:12]}, is named by no row"
            )
    return None


def _find_missing_fences(db: sqlite3.Connection) -> str | None:
    """Triggers or tables that are not as we made them."""
    there = {text for (text,) in db.execute("SELECT sql FROM sqlite_master")}
    for statement in list_statements():
        if statement not in there:
            return f"the schema was changed: missing `{' '.join(statement.split()[:3])}`"
    return None
