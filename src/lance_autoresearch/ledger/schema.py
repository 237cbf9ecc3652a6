"""Tables of the ledger, and the typed rows that come out of them.

Every table but `blobs` is append-only and a link of one chain: `seq` counts all chained rows
of all tables, `prev` is the digest of row `seq - 1` (whatever its table), `digest` covers the
row itself with `prev`. So one head, carried by a keep commit, vouches for everything before.

    seq 1  campaigns  hamming-20261122a   prev 000…  digest 5c1…
    seq 2  sessions   hamming           prev 5c1…  digest 9e0…
    seq 3  trials     1 revert          prev 9e0…  digest 77b…
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lance_autoresearch.records import NoiseSession, TrialRecord

VERSION: Final = 1
"""`PRAGMA user_version`; any other is refused."""
APPLICATION_ID: Final = 0x4C415231
"""`LAR1`: tells a ledger from any other SQLite file."""

Columns = tuple[tuple[str, str], ...]

_HEAD: Final[Columns] = (("seq", "INTEGER NOT NULL UNIQUE"), ("created", "TEXT NOT NULL"))
_TAIL: Final[Columns] = (("prev", "TEXT NOT NULL UNIQUE"), ("digest", "TEXT NOT NULL UNIQUE"))

_BODY: Final[dict[str, Columns]] = {
    "trials": (
        ("target", "TEXT NOT NULL"),
        ("verdict", "TEXT NOT NULL"),
        ("reason", "TEXT NOT NULL"),
        ("kernel", "TEXT NOT NULL"),
        ("champion", "TEXT NOT NULL"),
        ("hypothesis", "TEXT NOT NULL"),
        ("campaign", "TEXT"),
        ("parent", "INTEGER"),
        ("agent", "TEXT NOT NULL"),
        ("kind", "TEXT NOT NULL"),
        ("gain", "REAL"),
        ("low", "REAL"),
        ("high", "REAL"),
        ("numbers", "TEXT NOT NULL CHECK (json_valid(numbers))"),
        ("phases", "TEXT NOT NULL CHECK (json_valid(phases))"),
        ("immutable", "TEXT NOT NULL CHECK (json_valid(immutable))"),
        ("machine", "TEXT NOT NULL CHECK (json_valid(machine))"),
        ("toolchain", "TEXT NOT NULL"),
        ("epoch", "TEXT NOT NULL"),
        ("burnt_seeds", "TEXT NOT NULL CHECK (json_valid(burnt_seeds))"),
        ("tokens", "INTEGER"),
        ("cost_usd", "REAL"),
        ("pairs_blob", "TEXT"),
        ("judged", "TEXT NOT NULL"),
        ("keep_commit", "TEXT"),
    ),
    "campaigns": (
        ("name", "TEXT NOT NULL UNIQUE"),
        ("target", "TEXT NOT NULL"),
        ("branch", "TEXT NOT NULL"),
        ("start_kernel", "TEXT NOT NULL"),
        ("origin", "TEXT NOT NULL"),
        ("parent", "INTEGER"),
        ("era", "TEXT NOT NULL"),
        ("base", "TEXT NOT NULL"),
        ("start_commit", "TEXT NOT NULL"),
    ),
    "sessions": (
        ("target", "TEXT NOT NULL"),
        ("champion", "TEXT NOT NULL"),
        ("boot_id", "TEXT NOT NULL"),
        ("aa_sd", "TEXT NOT NULL CHECK (json_valid(aa_sd))"),
        ("bias", "REAL NOT NULL"),
        ("key", "TEXT NOT NULL"),
    ),
    "epochs": (
        ("name", "TEXT NOT NULL"),
        ("target", "TEXT NOT NULL"),
        ("seal", "TEXT NOT NULL"),
    ),
    "epoch_ends": (
        ("name", "TEXT NOT NULL"),
        ("target", "TEXT NOT NULL"),
        ("seed", "TEXT NOT NULL"),
    ),
}

CHAINED: Final[dict[str, Columns]] = {
    table: (("id", "INTEGER PRIMARY KEY"), *_HEAD, *body, *_TAIL) for table, body in _BODY.items()
}
"""Append-only tables with their columns, in order."""

NAMES: Final[dict[str, tuple[str, ...]]] = {
    table: tuple(name for name, _ in columns) for table, columns in CHAINED.items()
}

REALS: Final = frozenset({"gain", "low", "high", "cost_usd", "bias"})
JSONS: Final = frozenset({"numbers", "phases", "immutable", "machine", "burnt_seeds", "aa_sd"})

_INDEXES: Final = (
    "CREATE INDEX trials_by_target ON trials (target, id)",
    "CREATE INDEX trials_by_campaign ON trials (campaign, id)",
    "CREATE INDEX trials_by_key ON trials (judged, id)",
    "CREATE INDEX sessions_by_target ON sessions (target, champion, boot_id)",
    "CREATE UNIQUE INDEX epochs_by_name ON epochs (target, name)",
    "CREATE UNIQUE INDEX ends_by_name ON epoch_ends (target, name)",
)

_BLOBS: Final = (
    "CREATE TABLE blobs (sha256 TEXT PRIMARY KEY, kind TEXT NOT NULL, size INTEGER NOT NULL, "
    "bytes BLOB NOT NULL, created TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TRIGGER blobs_no_update BEFORE UPDATE ON blobs "
    "BEGIN SELECT RAISE(ABORT, 'a blob is never changed'); END",
)


def _build_fences(table: str) -> tuple[str, ...]:
    """Triggers that keep a table append-only; INSERT OR REPLACE counts as a change."""
    same = "id = NEW.id OR seq = NEW.seq OR digest = NEW.digest"
    return (
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END",
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END",
    )


def list_statements() -> tuple[str, ...]:
    """The whole schema, one statement each, as SQLite keeps it in `sqlite_master.sql`."""
    made: list[str] = []
    for table, columns in CHAINED.items():
        body = ", ".join(f"{name} {kind}" for name, kind in columns)
        made += [f"CREATE TABLE {table} ({body}) STRICT", *_build_fences(table)]
    return (*made, *_INDEXES, *_BLOBS)


@dataclass(frozen=True, slots=True)
class Row:
    """A trial as the ledger holds it."""

    id: int
    seq: int
    """Place in the chain of all tables."""
    created: str
    """UTC, ISO 8601, seconds."""
    record: TrialRecord
    judged: str
    """Its memory key, or empty if the trial is exempt from being answered from memory."""
    commit: str | None
    """Git commit of a keep inside a campaign."""
    prev: str
    digest: str


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """A run of trials on one target on a branch of its own."""

    id: int
    seq: int
    """Place in the chain of all tables."""
    name: str
    target: str
    branch: str
    start_kernel: str
    """sha256 of the kernel it began with."""
    origin: str
    """`upstream`, `champion` or `trial 17`."""
    parent: int | None
    """Trial the starting kernel came from, None for upstream."""
    era: str
    """Upstream's version when it began."""
    base: str
    """Commit of the checkout it branched from."""
    commit: str
    """First commit of the branch: base with the starting kernel."""
    created: str
    prev: str
    digest: str


@dataclass(frozen=True, slots=True)
class Champion:
    """The champion that a campaign's next trial is compared with."""

    kernel: str
    """sha256 of its bytes."""
    trial: int | None
    """The trial that kept it (for `TrialRecord.parent`); None: upstream's own text."""
    commit: str
    """Where the campaign's branch must stand."""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A noise session as the ledger holds it."""

    noise: NoiseSession
    created: str
    seq: int
    """Place in the chain of all tables."""


@dataclass(frozen=True, slots=True)
class EpochRow:
    """The life of one set of secret pools."""

    name: str
    target: str
    created: str
    seal: str
    """`seal(seed)`, stored when it began, or empty."""
    ended: str | None
    seed: str | None
    """Published when it ended."""


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """One blob without its bytes."""

    sha256: str
    kind: str
    size: int
    """Bytes before compression."""
    stored: int
    """Bytes in the ledger."""
    created: str
