"""Numbers and combos as JSON and back, shared by the codecs of results.

Infinite ends of intervals are null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lance_autoresearch.records import ComboId


def encode_numbers(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, infinite ones as None."""
    return {k: drop_infinite(v) for k, v in fields.items()}


def drop_infinite(value: Any) -> Any:
    """None in place of an infinite end: JSON has no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def parse_lower(end: float | None) -> float:
    """The lower end of an interval."""
    return -math.inf if end is None else float(end)


def parse_upper(end: float | None) -> float:
    """The upper end of an interval."""
    return math.inf if end is None else float(end)


def encode_combo_id(combo: ComboId) -> dict[str, Any]:
    """Op and name, and the weight if it is not 1."""
    named: dict[str, Any] = {"op": combo.op, "name": combo.name}
    return named if combo.weight == 1.0 else {**named, "weight": combo.weight}


def decode_combo_id(fields: Mapping[str, Any]) -> ComboId:
    """Read what `encode_combo_id` wrote."""
    return ComboId(fields["op"], fields["name"], fields.get("weight", 1.0))
