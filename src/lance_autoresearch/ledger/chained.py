"""The chained file under the ledger: one connection, transactions, inserts that link.

    with store.transaction():           # BEGIN IMMEDIATE: other writers wait
        before = store.head()           # stays the head until the transaction ends
        store._insert("epochs", {...})  # fills in id, seq, created, prev, digest
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from lance_autoresearch.ledger import chain
from lance_autoresearch.ledger.connect import connect, explain_errors
from lance_autoresearch.ledger.schema import NAMES


def find_ledger_path(root: Path) -> Path:
    """`<root>/.lar/ledger.sqlite`."""
    return root / ".lar" / "ledger.sqlite"


def format_now(*, ago: timedelta = timedelta()) -> str:
    """UTC, ISO 8601, to the second."""
    return (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%SZ")


class Chained:
    """An open ledger file: transactions, the chain, rows in and out as dictionaries."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = connect(path)

    @classmethod
    def open(cls, root: Path) -> Self:
        """Open or create the ledger of a checkout.

        Raises:
            LedgerError: unknown version, not a ledger, not writable.
        """
        return cls(find_ledger_path(root))

    def close(self) -> None:
        """Close the file; the object is of no use afterwards."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *why: object) -> None:
        self.close()

    @contextmanager
    def open_transaction(self) -> Iterator[None]:
        """All writes inside happen whole, durably, or not at all; may be nested.

        Other writers wait from here to the end, so `read_head()` inside stays the head.

        Raises:
            LedgerError: disk full, read-only, damaged, or busy for 30 s.
        """
        if self._db.in_transaction:
            yield
            return
        with explain_errors(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def read_head(self) -> str:
        """Digest of the last row of the chain; 64 zeros while there is none."""
        with explain_errors(self.path):
            return chain.read_head(self._db)[1]

    def verify_chain(self, commits: Mapping[str, str] | None = None) -> chain.Verified:
        """Walk the chain; `commits` (commit -> head in its message) is git's witness."""
        with explain_errors(self.path):
            return chain.verify_chain(self._db, commits or {})

    def _insert(self, table: str, values: dict[str, Any]) -> int:
        with self.open_transaction():
            seq, prev = chain.read_head(self._db)
            (last,) = self._db.execute(f"SELECT max(id) FROM {table}").fetchone()
            values |= {"id": (last or 0) + 1, "seq": seq + 1, "created": format_now(), "prev": prev}
            values["digest"] = chain.hash_row(table, values)
            names = NAMES[table]
            marks = ", ".join("?" * len(names))
            sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"
            self._db.execute(sql, [values[name] for name in names])
            return int(values["id"])

    def _select(self, table: str, tail: str, params: Sequence[object]) -> list[dict[str, Any]]:
        names = NAMES[table]
        with explain_errors(self.path):
            found = self._db.execute(f"SELECT {', '.join(names)} FROM {table} {tail}", params)
            return [dict(zip(names, row, strict=True)) for row in found]
