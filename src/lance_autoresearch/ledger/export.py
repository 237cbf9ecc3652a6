"""A campaign as plain files that a clone can read, verify and replay: `records/<campaign>/`.

    campaign.json           the campaign, its columns explained, sha256 of every other file
    trials.tsv              every trial (see `tsv`)
    kernels/<sha256>.rs     a kernel of our own writing
    kernels/<sha256>.delta  one that shares ten lines or more with Lance's text (see `delta`)
    pairs/<sha256>.json.z   raw times of a trial, JSON behind zlib
    seeds.json              epochs with their published seeds

`load_records` reads it back: kernels are rebuilt with upstream's first kernel at hand, and
any damage is an error that names the file.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lance_autoresearch.errors import LedgerError, UsageError
from lance_autoresearch.ledger import chain, delta, rows, tsv
from lance_autoresearch.ledger.blobs import hash_bytes
from lance_autoresearch.ledger.schema import CampaignRow, Row
from lance_autoresearch.ledger.store import Ledger

VERSION: Final = 1
LONGEST: Final = 256 << 20
"""Bytes of one unpacked pair file."""
_NAME: Final = re.compile(
    r"trials\.tsv|seeds\.json|kernels/[0-9a-f]{64}\.(?:rs|delta)|pairs/[0-9a-f]{64}\.json\.z"
)


@dataclass(frozen=True, slots=True)
class Records:
    """An exported campaign, read back and verified."""

    campaign: CampaignRow
    trials: tuple[Row, ...]
    kernels: Mapping[str, bytes]
    """By sha256; without those in `dropped` and, if upstream was not given, the deltas."""
    pairs: Mapping[str, bytes]
    """JSON of the raw times by sha256."""
    seeds: Mapping[str, Any]
    """Epoch -> {created, ended, seed}."""
    dropped: frozenset[str]
    """Blobs that `lar gc` had dropped before the export."""


def export_campaign(ledger: Ledger, name: str, directory: Path, upstream: bytes) -> Path:
    """Write a campaign's records, replacing an earlier export of it.

    Args:
        directory: e.g. `records/<name>`.
        upstream: upstream's first kernel, the base of the deltas.

    Raises:
        UsageError: no such campaign.
    """
    campaign = ledger.find_campaign(name)
    if campaign is None:
        names = [row.name for row in ledger.list_campaigns()]
        raise UsageError(f"no campaign '{name}'", allowed=names, next="lar status")
    trials = ledger.list_trials(campaign=name)
    files, dropped = _collect_files(ledger, campaign, trials, upstream)
    about = {
        "v": VERSION,
        "command": f"lar log --export {name}",
        "campaign": dataclasses.asdict(campaign),
        "first_kernel": hash_bytes(upstream),
        "champion": dataclasses.asdict(ledger.find_champion(name)),
        "head": ledger.read_head(),
        "dropped": sorted(dropped),
        "columns": tsv.COLUMNS,
        "files": {path: hash_bytes(data) for path, data in sorted(files.items())},
    }
    files["campaign.json"] = _encode_json(about)
    _replace_directory(directory, files)
    return directory


def _encode_json(value: object) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _collect_files(
    ledger: Ledger, campaign: CampaignRow, trials: list[Row], upstream: bytes
) -> tuple[dict[str, bytes], set[str]]:
    """Relative path -> bytes, and the blobs that are gone."""
    files = {"trials.tsv": tsv.dump_trials(trials).encode()}
    dropped = set()
    texts = {campaign.start_kernel}
    texts |= {t for row in trials for t in (row.record.kernel, row.record.champion)}
    for sha in sorted(texts):
        text = ledger.find_blob(sha)
        if text is None:
            dropped.add(sha)
        elif delta.count_shared_lines(text, upstream) >= delta.SHARED:
            files[f"kernels/{sha}.delta"] = delta.encode_delta(text, upstream)
        else:
            files[f"kernels/{sha}.rs"] = text
    for pair in sorted({row.record.pairs_blob for row in trials if row.record.pairs_blob}):
        data = ledger.find_blob(pair)
        if data is None:
            dropped.add(pair)
        else:
            files[f"pairs/{pair}.json.z"] = zlib.compress(data, 9)
    used = {row.record.epoch for row in trials}
    files["seeds.json"] = _encode_json(
        {
            epoch.name: {"created": epoch.created, "ended": epoch.ended, "seed": epoch.seed}
            for epoch in ledger.list_epochs(campaign.target)
            if epoch.name in used
        }
    )
    return files, dropped


def _replace_directory(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write beside the old export, then swap."""
    new = directory.with_name(f".{directory.name}.new")
    old = directory.with_name(f".{directory.name}.old")
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    for path, data in files.items():
        (new / path).parent.mkdir(parents=True, exist_ok=True)
        (new / path).write_bytes(data)
    if directory.exists():
        directory.rename(old)
    new.rename(directory)
    shutil.rmtree(old, ignore_errors=True)


def load_records(directory: Path, upstream: bytes | None = None) -> Records:
    """Read an export and verify all of it.

    Args:
        upstream: upstream's first kernel; without it kernels stored as deltas are left out.

    Raises:
        LedgerError: a file is missing, damaged, or does not belong; the error names it.
    """
    about = _read_about(directory)
    files = {path: _read_checked(directory, path, sha) for path, sha in about["files"].items()}
    campaign, trials = _read_checked_rows(directory, about, files)
    kernels: dict[str, bytes] = {}
    pairs: dict[str, bytes] = {}
    for path, data in files.items():
        sha = path.partition("/")[2].partition(".")[0]
        if path.endswith(".delta") and upstream is not None:
            kernels[sha] = _check_digest(directory / path, sha, delta.decode_delta(data, upstream))
        elif path.endswith(".rs"):
            kernels[sha] = _check_digest(directory / path, sha, data)
        elif path.startswith("pairs/"):
            pairs[sha] = _check_digest(directory / path, sha, _unpack_file(directory / path, data))
    dropped = frozenset(about["dropped"])
    _check_complete(directory, trials, files, dropped)
    seeds = _parse_seeds(directory / "seeds.json", files["seeds.json"])
    return Records(campaign, tuple(trials), kernels, pairs, seeds, dropped)


def _parse_seeds(path: Path, data: bytes) -> dict[str, Any]:
    try:
        seeds = json.loads(data)
        for epoch in seeds.values():
            if not {"created", "ended", "seed"} <= epoch.keys():
                raise ValueError("an epoch without its seed")
    except (ValueError, AttributeError, RecursionError) as error:
        raise LedgerError(f"damaged ({error})", where=str(path)) from error
    return dict(seeds)


def _read_about(directory: Path) -> dict[str, Any]:
    path = directory / "campaign.json"
    try:
        about = json.loads(path.read_bytes())
        version, files = about["v"], about["files"]
        odd = [name for name in files if not _NAME.fullmatch(name)]
        rows.build_campaign(rows.flatten_campaign(CampaignRow(**about["campaign"])))
        frozenset(about["dropped"])
    except OSError as error:
        raise LedgerError("it cannot be read", where=str(path), next="lar log --export") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LedgerError(f"damaged ({error})", where=str(path)) from error
    if version != VERSION:
        raise LedgerError(f"format {version} is unknown", where=str(path), allowed=[str(VERSION)])
    if odd or not {"trials.tsv", "seeds.json"} <= files.keys():
        raise LedgerError(f"its list of files is damaged: {odd[:1]}", where=str(path))
    return dict(about)


def _read_checked(directory: Path, path: str, sha: str) -> bytes:
    try:
        data = (directory / path).read_bytes()
    except OSError as error:
        raise LedgerError("missing from the records", where=str(directory / path)) from error
    return _check_digest(directory / path, sha, data)


def _check_digest(path: Path, sha: str, data: bytes) -> bytes:
    if hash_bytes(data) != sha:
        raise LedgerError("damaged: its content is not what it was", where=str(path))
    return data


def _unpack_file(path: Path, data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, LONGEST)
    except zlib.error as error:
        raise LedgerError(f"damaged ({error})", where=str(path)) from error


def _read_checked_rows(
    directory: Path, about: dict[str, Any], files: Mapping[str, bytes]
) -> tuple[CampaignRow, list[Row]]:
    """Campaign and trials, each with the digest it had in the ledger's chain."""
    campaign = CampaignRow(**about["campaign"])
    values = rows.flatten_campaign(campaign)
    if chain.hash_row("campaigns", values) != campaign.digest:
        where = str(directory / "campaign.json")
        raise LedgerError("the campaign's digest does not match its content", where=where)
    where = str(directory / "trials.tsv")
    try:
        trials = tsv.parse_trials(files["trials.tsv"].decode())
    except (LedgerError, ValueError) as error:
        raise LedgerError(f"damaged: {error}", where=where) from error
    for row in trials:
        if chain.hash_row("trials", rows.flatten_row(row)) != row.digest:
            raise LedgerError(f"trial {row.id}: its digest does not match its content", where=where)
        if row.record.campaign != campaign.name:
            raise LedgerError(f"trial {row.id} belongs to another campaign", where=where)
    before = {campaign.seq: campaign.digest} | {row.seq: row.digest for row in trials}
    for row in trials:
        if before.get(row.seq - 1, row.prev) != row.prev:
            raise LedgerError(f"trial {row.id} does not follow the row before it", where=where)
    return campaign, trials


def _check_complete(
    directory: Path, trials: list[Row], files: Mapping[str, bytes], dropped: frozenset[str]
) -> None:
    """Every kernel and pair file a trial names is there, or was dropped."""
    there = {path.partition("/")[2].partition(".")[0] for path in files} | dropped
    for row in trials:
        for sha in filter(None, (row.record.kernel, row.record.champion, row.record.pairs_blob)):
            if sha not in there:
                raise LedgerError(
                    f"trial {row.id} names {sha[:12]}, which is not among the files",
                    where=str(directory),
                )
