"""Opening the SQLite file: its settings, its version, and the meaning of its errors."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lance_autoresearch.errors import LedgerError, MachineError
from lance_autoresearch.host.os_errors import explain_os_error, name_file_kind
from lance_autoresearch.ledger.schema import APPLICATION_ID, VERSION, list_statements

BUSY_S: Final = 30.0
"""How long a process waits for another one's transaction."""

PROBE_BYTES: Final = 1 << 16
_FIXES: Final = (
    ("full", "the disk is full; nothing was recorded", "free disk space (lar gc), then again"),
    ("disk I/O", "the disk failed; nothing was recorded", "lar log --verify"),
    ("readonly", "it may not be written", "make the file and its directory writable"),
    ("unable to open", "it cannot be opened", "make its directory writable"),
    ("locked", f"another process held it for {BUSY_S:.0f} s", "lar status"),
    ("malformed", "the file is damaged", "restore it from a copy; exports are in records/"),
    ("not a database", "it is not a ledger", "move the file away; lar start begins a new one"),
)


@contextmanager
def explain_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ones that name the fix. A wrong statement stays a defect."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        if (cause := _find_cause(path, text)) is not None:
            raise LedgerError(cause.what, where=str(path), next=cause.next) from error
        for sign, what, fix in _FIXES:
            if sign in text:
                raise LedgerError(f"{what} ({text})", where=str(path), next=fix) from error
        if isinstance(error, sqlite3.IntegrityError) and "append-only" in text:
            raise LedgerError(f"refused: {text}", where=str(path), next="lar log") from error
        raise


def _find_cause(path: Path, text: str) -> MachineError | None:
    """The system's own error behind SQLite's "disk I/O error" or "unable to open"; None: other."""
    if not any(sign in text for sign in ("full", "disk I/O", "unable to open")):
        return None
    try:
        with tempfile.TemporaryFile(dir=path.parent) as file:
            limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
            if limit != resource.RLIM_INFINITY:
                file.seek(path.stat().st_size + PROBE_BYTES)
            file.write(bytes(PROBE_BYTES))
            file.flush()
    except OSError as error:
        return explain_os_error(error)
    return None


def _refuse_foreign_file(path: Path) -> None:
    """Raise LedgerError if what lies at the ledger's name is no file, or leads nowhere."""
    try:
        kind = path.lstat().st_mode
        if stat.S_ISLNK(kind):
            kind = path.stat().st_mode
    except FileNotFoundError:
        if not os.path.lexists(path):
            return
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise explain_os_error(error) from error
    if not stat.S_ISREG(kind):
        raise LedgerError(
            f"{name_file_kind(kind)} lies where the ledger belongs", where=str(path),
            next="move it away; lar start begins a new one",
        )  # fmt: skip


def connect(path: Path) -> sqlite3.Connection:
    """Open or create a ledger: WAL, durable commits, autocommit outside `BEGIN`.

    Raises:
        LedgerError: unknown version, not a ledger, not writable.
    """
    with explain_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LedgerError(
                f"its directory cannot be made ({error.strerror})",
                where=str(path),
                next="make the checkout writable, then again",
            ) from error
        _refuse_foreign_file(path)
        db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        try:
            if _read_version(db, path) == 0:
                _create_schema(db, path)
            db.execute("PRAGMA synchronous = FULL")
        except BaseException:
            db.close()
            raise
        return db


def _read_version(db: sqlite3.Connection, path: Path) -> int:
    """0 for an empty file, else our version. Raises LedgerError for anything else."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    kind = int(db.execute("PRAGMA application_id").fetchone()[0])
    tables = int(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if version == 0 and kind == 0 and tables == 0:
        return 0
    if kind != APPLICATION_ID:
        raise LedgerError(
            "it is a SQLite file, but not a ledger",
            where=str(path),
            next="move the file away; lar start begins a new one",
        )
    if version != VERSION:
        raise LedgerError(
            f"it has format {version}; this release reads and writes {VERSION}",
            where=str(path),
            allowed=[str(VERSION)],
            next="use the release of lance-autoresearch that wrote it",
        )
    return version


def _create_schema(db: sqlite3.Connection, path: Path) -> None:
    """Lay out an empty file; harmless if another process does so at the same time."""
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _run_patiently(db, "PRAGMA journal_mode = WAL")
    _run_patiently(db, "BEGIN IMMEDIATE")
    try:
        if _read_version(db, path) == 0:
            for statement in list_statements():
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _run_patiently(db: sqlite3.Connection, statement: str) -> None:
    """Run a statement for which SQLite's own busy handler does not wait."""
    for attempt in range(200):
        try:
            db.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or attempt == 199:
                raise
        time.sleep(0.02)
