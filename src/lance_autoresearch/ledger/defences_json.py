"""The results of the defences as JSON and back; see `results_json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lance_autoresearch.ledger.json_numbers import (
    decode_combo_id,
    drop_infinite,
    encode_combo_id,
    encode_numbers,
    parse_lower,
    parse_upper,
)
from lance_autoresearch.records import (
    DefenceRow,
    DistinctInputsResult,
    OpponentResult,
    SlowInputs,
    TotalsResult,
    TotalsRow,
)


def encode_defence(result: DistinctInputsResult | OpponentResult) -> dict[str, Any]:
    """Its fields, with `rejected` for readers."""
    rows = [_encode_row(row) for row in result.combos]
    return {**encode_numbers(asdict(result)), "rejected": result.rejected, "combos": rows}


def decode_distinct(fields: Mapping[str, Any]) -> DistinctInputsResult:
    """Read what `encode_defence` wrote, or an older row."""
    rows = tuple(_decode_row(row, parse_upper(row["bound"])) for row in fields.get("combos", ()))
    return DistinctInputsResult(
        fields["gain"], parse_upper(fields["high"]), _is_claim_rejected(fields), rows
    )


def decode_opponent(fields: Mapping[str, Any]) -> OpponentResult:
    """Read what `encode_defence` wrote, or an older row."""
    rows = tuple(_decode_row(row, parse_lower(row["bound"])) for row in fields.get("combos", ()))
    return OpponentResult(
        fields["slowdown"], parse_lower(fields["low"]), _is_claim_rejected(fields), rows
    )


def encode_totals(result: TotalsResult) -> dict[str, Any]:
    """Its fields, with `rejected` for readers."""
    rows = [encode_numbers(asdict(row)) for row in result.ops]
    return {**asdict(result), "rejected": result.rejected, "ops": rows}


def decode_totals(fields: Mapping[str, Any]) -> TotalsResult:
    """Read what `encode_totals` wrote."""
    return TotalsResult(
        ops=tuple(
            TotalsRow(r["op"], r["inputs"], r["gain"], parse_lower(r["low"]),
                      parse_upper(r["high"]))
            for r in fields["ops"]
        ),
        suspected=fields["suspected"],
        repeats=fields["repeats"],
        wanted=fields["wanted"],
        slow=tuple(SlowInputs(**row) for row in fields["slow"]),
    )  # fmt: skip


def _is_claim_rejected(fields: Mapping[str, Any]) -> bool:
    """Older rows judged nothing but the claim."""
    return bool(fields.get("claim_rejected", fields["rejected"]))


def _encode_row(row: DefenceRow) -> dict[str, Any]:
    return {
        **encode_combo_id(row.combo),
        "claimed": row.claimed,
        "seen": row.seen,
        "bound": drop_infinite(row.bound),
        "rejected": row.rejected,
    }


def _decode_row(fields: Mapping[str, Any], bound: float) -> DefenceRow:
    combo = decode_combo_id(fields)
    return DefenceRow(combo, fields["claimed"], fields["seen"], bound, fields["rejected"])
