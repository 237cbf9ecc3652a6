"""Between the plain records of this package and the columns of the ledger.

    flatten_record(TrialRecord(...)) -> {"target": "hamming", "numbers": '{"v":2,...}', ...}
    build_row({...all columns...}) -> Row(id=1, record=TrialRecord(...), ...)
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Final

from lance_autoresearch.ledger import chain
from lance_autoresearch.ledger.results_json import decode_results, encode_results
from lance_autoresearch.ledger.schema import (
    JSONS,
    REALS,
    CampaignRow,
    EpochRow,
    Row,
    SessionRow,
)
from lance_autoresearch.records import NoiseSession, TrialRecord, Verdict

LONGEST: Final = 4000
"""Characters of a free text (hypothesis, reason); agents write it."""

FIELDS: Final = tuple(
    field.name for field in dataclasses.fields(TrialRecord)
    if field.name not in ("results", "stored")
)  # fmt: skip
"""Fields of a record that are columns under their own name; `results` is column `numbers`."""


def encode_json(value: Any) -> str:
    """Canonical JSON as stored; `inf` and `nan` become strings."""
    return chain.encode_canonical(chain.make_plain(value)).decode()


def flatten_record(record: TrialRecord) -> dict[str, Any]:
    """Columns of a record, each in the form SQLite will give back."""
    known = encode_results(record.results) if record.stored is None else record.stored
    values: dict[str, Any] = {"numbers": encode_json(known)}
    for name in FIELDS:
        value = getattr(record, name)
        if name in JSONS:
            values[name] = encode_json(value)
        elif name in REALS:
            values[name] = chain.normalize_float(value)
        elif value is None:
            values[name] = None
        elif name in ("parent", "tokens"):
            values[name] = int(value)
        else:
            values[name] = chain.clean_text(str(value))[:LONGEST]
    return values


def build_record(values: dict[str, Any]) -> TrialRecord:
    """The record back from its columns. Raises ValueError if one has another shape."""
    fields = {name: values[name] for name in FIELDS}
    stored = json.loads(values["numbers"])
    if not isinstance(stored, dict):
        raise ValueError("numbers has another shape")
    for name in JSONS & fields.keys():
        fields[name] = json.loads(fields[name])
        if not isinstance(fields[name], list if name == "burnt_seeds" else dict):
            raise ValueError(f"{name} has another shape")
    fields["verdict"] = Verdict(fields["verdict"])
    fields["burnt_seeds"] = tuple(fields["burnt_seeds"])
    results = decode_results(stored, fields["reason"])
    return TrialRecord(**fields, results=results, stored=stored)


def build_row(values: dict[str, Any]) -> Row:
    """A trial with its place in the chain."""
    return Row(
        id=values["id"],
        seq=values["seq"],
        created=values["created"],
        record=build_record(values),
        judged=values["judged"],
        commit=values["keep_commit"],
        prev=values["prev"],
        digest=values["digest"],
    )


def flatten_row(row: Row) -> dict[str, Any]:
    """All columns of a trial, as they were hashed."""
    values = flatten_record(row.record)
    ours = {"id": row.id, "seq": row.seq, "created": row.created, "judged": row.judged}
    return values | ours | {"keep_commit": row.commit, "prev": row.prev, "digest": row.digest}


def build_campaign(values: dict[str, Any]) -> CampaignRow:
    """A campaign from its columns."""
    rest = {name: value for name, value in values.items() if name != "start_commit"}
    return CampaignRow(**rest, commit=values["start_commit"])


def flatten_campaign(row: CampaignRow) -> dict[str, Any]:
    """All columns of a campaign, as they were hashed."""
    values = dataclasses.asdict(row)
    return values | {"start_commit": values.pop("commit")}


def build_session(values: dict[str, Any]) -> SessionRow:
    """A session from its columns."""
    names = ("target", "champion", "boot_id", "bias", "key")
    noise = NoiseSession(
        **{name: values[name] for name in names}, aa_sd=tuple(json.loads(values["aa_sd"]))
    )
    return SessionRow(noise, values["created"], values["seq"])


def build_epoch(begun: dict[str, Any], end: dict[str, Any] | None) -> EpochRow:
    """An epoch from its beginning and, if it is over, its end."""
    return EpochRow(
        name=begun["name"],
        target=begun["target"],
        created=begun["created"],
        seal=begun["seal"],
        ended=end["created"] if end else None,
        seed=end["seed"] if end else None,
    )
