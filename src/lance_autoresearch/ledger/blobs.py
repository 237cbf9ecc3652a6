"""Kernels and raw pair data by sha256, compressed: the only part that may be dropped.

    name = ledger.put_blob(text, "kernel")
    ledger.get_blob(name) == text
    ledger.drop_old_blobs(days=30)      # never a blob that a keep needs, never a row
"""

from __future__ import annotations

import hashlib
import zlib
from datetime import timedelta
from typing import Final

from lance_autoresearch.errors import LedgerError
from lance_autoresearch.ledger.chained import Chained, format_now
from lance_autoresearch.ledger.connect import explain_errors
from lance_autoresearch.ledger.schema import BlobInfo

_NEEDED: Final = (
    "SELECT start_kernel FROM campaigns "
    "UNION SELECT kernel FROM trials WHERE verdict = 'keep' "
    "UNION SELECT champion FROM trials WHERE verdict = 'keep' "
    "UNION SELECT pairs_blob FROM trials WHERE verdict = 'keep' AND pairs_blob IS NOT NULL"
)


def hash_bytes(data: bytes) -> str:
    """sha256 in hex: how kernels and pair data are named everywhere."""
    return hashlib.sha256(data).hexdigest()


class Blobs(Chained):
    """The blob table of a ledger."""

    def put_blob(self, data: bytes, kind: str = "kernel") -> str:
        """Store bytes under their sha256, which is returned; twice is no change."""
        name = hash_bytes(data)
        with self.open_transaction():
            known = self._db.execute("SELECT 1 FROM blobs WHERE sha256 = ?", (name,)).fetchone()
            if not known:
                row = (name, kind, len(data), zlib.compress(data), format_now())
                self._db.execute("INSERT INTO blobs VALUES (?, ?, ?, ?, ?)", row)
        return name

    def find_blob(self, name: str) -> bytes | None:
        """Bytes by sha256, or None if they were dropped by `lar gc` or never stored."""
        with explain_errors(self.path):
            found = self._db.execute("SELECT bytes FROM blobs WHERE sha256 = ?", (name,)).fetchone()
        if found is None:
            return None
        try:
            data = zlib.decompress(found[0])
        except zlib.error:
            data = b""
        if hash_bytes(data) != name:
            raise LedgerError(
                f"blob {name[:12]} is damaged", where=str(self.path), next="lar log --verify"
            )
        return data

    def get_blob(self, name: str) -> bytes:
        """Bytes by sha256. Raises LedgerError if they are gone or damaged."""
        data = self.find_blob(name)
        if data is None:
            raise LedgerError(
                f"blob {name[:12]} is not in the ledger; lar gc may have dropped it",
                where=str(self.path),
                next="lar log",
            )
        return data

    def list_blobs(self) -> list[BlobInfo]:
        """All blobs without their bytes, oldest first."""
        names = "sha256, kind, size, length(bytes), created"
        sql = f"SELECT {names} FROM blobs ORDER BY created, sha256"
        with explain_errors(self.path):
            return [BlobInfo(*found) for found in self._db.execute(sql)]

    def drop_old_blobs(
        self, *, days: float = 30.0, at_least: int = 0, dry_run: bool = False
    ) -> list[BlobInfo]:
        """Drop blobs older than `days` that no keep and no campaign's start needs.

        Rows stay: they name the blob by digest. Returns the dropped blobs (or those that would be).

        Args:
            at_least: bytes to free; younger blobs follow, the oldest first, until it is reached,
                but none of the last hour: its row may not be written yet.
        """
        before, fresh = format_now(ago=timedelta(days=days)), format_now(ago=timedelta(hours=1))
        with explain_errors(self.path):
            needed = {name for (name,) in self._db.execute(_NEEDED)}
            drop, freed = [], 0
            for blob in self.list_blobs():
                more = freed < at_least and blob.created <= fresh
                if blob.sha256 not in needed and (blob.created <= before or more):
                    drop.append(blob)
                    freed += blob.stored
            if drop and not dry_run:
                with self.open_transaction():
                    names = [(blob.sha256,) for blob in drop]
                    self._db.executemany("DELETE FROM blobs WHERE sha256 = ?", names)
                self._db.execute("PRAGMA incremental_vacuum").fetchall()
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return drop
