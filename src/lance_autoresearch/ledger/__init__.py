"""The memory of every trial ever: an append-only, chained SQLite file, and its exports.

    with Ledger.open(root) as ledger:
        trial = ledger.append(record, blobs={"kernel": text})
        ledger.list_trials(target="hamming", limit=20)
        ledger.verify_chain().fault      # None, or the first broken row
"""

from lance_autoresearch.ledger.blobs import hash_bytes
from lance_autoresearch.ledger.chain import GENESIS, Verified
from lance_autoresearch.ledger.chained import find_ledger_path
from lance_autoresearch.ledger.schema import (
    BlobInfo,
    CampaignRow,
    Champion,
    EpochRow,
    Row,
    SessionRow,
)
from lance_autoresearch.ledger.seals import seal_seed
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
    "find_ledger_path",
    "hash_bytes",
    "seal_seed",
]
