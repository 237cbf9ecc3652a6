"""The memory of every trial ever: an append-only, chained SQLite file, and its exports.

    with Ledger.open(root) as ledger:
        trial = ledger.append(record, blobs={"kernel": text})
        ledger.trials(target="hamming", limit=20)
        ledger.verify().fault            # None, or the first broken row
"""

from lance_autoresearch.ledger.blobs import digest_of
from lance_autoresearch.ledger.chain import GENESIS, Verified
from lance_autoresearch.ledger.chained import ledger_path
from lance_autoresearch.ledger.schema import (
    BlobInfo,
    CampaignRow,
    Champion,
    EpochRow,
    Row,
    SessionRow,
)
from lance_autoresearch.ledger.seals import seal
from lance_autoresearch.ledger.store import Ledger

__all__ = [
    "GENESIS",
    "BlobInfo",
    "CampaignRow",
    "Champion",
    "EpochRow",
    "Ledger",
    "Row",
    "SessionRow",
    "Verified",
    "digest_of",
    "ledger_path",
    "seal",
]
