"""The results of a trial as JSON and back: the one codec of the ledger's column `numbers`.

    encode_results(results) -> {"v": 2, "checked": 1812, "reason": {...}, "gate": {...}, ...}
    decode_results({...}) -> Results(...)          rows of version 1 too

Infinite ends of intervals are null. A row of version 1 has no typed reason; its kind is read off
the sentence here, in one table, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lance_autoresearch.ledger.defences_json import (
    decode_distinct,
    decode_opponent,
    decode_totals,
    encode_defence,
    encode_totals,
)
from lance_autoresearch.ledger.json_numbers import (
    decode_combo_id,
    drop_infinite,
    encode_combo_id,
    encode_numbers,
    parse_lower,
    parse_upper,
)
from lance_autoresearch.records import (
    CodeFacts,
    ComboRow,
    Component,
    ConfirmResult,
    Estimate,
    Fault,
    FaultKind,
    GateResult,
    Guard,
    KindResult,
    Outcome,
    Reason,
    ReasonKind,
    Results,
    RewriteStep,
    ScreeningFacts,
    TierResult,
    Verdict,
)

VERSION = 2

OLD_REASONS: Sequence[tuple[re.Pattern[str], ReasonKind]] = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"not confirmed: guard: (?P<about>.+?) [+-]\d", ReasonKind.COMBO_MAY_BE_SLOWER),
        (r"guard: (?P<about>.+?) [+-]\d", ReasonKind.COMBO_SLOWER),
        (r"not confirmed: (?P<about>\S+) may be slower", ReasonKind.OTHER_OP_MAY_BE_SLOWER),
        (r"not confirmed: (?P<about>\S+) \S+ with its slow processes", ReasonKind.SLOW_PROCESSES),
        (r"not confirmed: (?P<about>\S+) \S+, may be only", ReasonKind.CLAIM_TOO_SMALL),
        (r"not confirmed: in long blocks only", ReasonKind.LONG_BLOCKS),
        (r"(not confirmed: )?\d+ of \d+ pairs (with long blocks )?valid",
         ReasonKind.FEW_VALID_PAIRS),
        (r"\d+ of \d+ pairs void", ReasonKind.VOID_PAIRS),
        (r"not proven", ReasonKind.NOT_PROVEN),
        (r"no gain above the margin", ReasonKind.NO_GAIN),
        (r"slower", ReasonKind.SLOWER),
        (r"confirmed", ReasonKind.CONFIRMED),
        (r"the same program as the champion", ReasonKind.SAME_PROGRAM),
        (r"quoted against Lance", ReasonKind.QUOTED),
    )
)
"""Beginning of a sentence of version 1, and its meaning."""


def encode_results(results: Results) -> dict[str, Any]:
    """JSON-able fields; a stage that was not reached is left out."""
    fields: dict[str, Any] = {"v": VERSION, "checked": results.checked}
    if results.reason is not None:
        fields["reason"] = encode_reason(results.reason)
    if results.predicted is not None:
        fields["predicted"] = results.predicted
    if results.made_from:
        fields["made_from"] = results.made_from
    if results.rewrites:
        fields["rewrites"] = [asdict(step) for step in results.rewrites]
    if results.screening is not None:
        fields["gate"] = encode_gate(
            results.screening, results.screening_facts, results.margin
        )
    if results.confirmation is not None:
        fields["confirm"] = encode_confirm(results.confirmation, results.margin, results.level)
    if results.distinct_inputs is not None:
        fields["distinct_inputs"] = encode_defence(results.distinct_inputs)
    if results.opponent is not None:
        fields["opponent"] = encode_defence(results.opponent)
    if results.totals is not None:
        fields["totals"] = encode_totals(results.totals)
    if results.lower_tiers:
        fields["lower_tiers"] = [_encode_tier(found) for found in results.lower_tiers]
    if results.kinds:
        fields["kinds"] = [_encode_kind(found) for found in results.kinds]
    if results.fault is not None:
        fields["fault"] = encode_fault(results.fault)
    if results.code is not None:
        fields["code"] = asdict(results.code)
    if results.tier != "native":
        fields["tier"] = results.tier
    if results.dose:
        fields["dose"] = list(results.dose)
    return fields


def encode_gate(
    result: GateResult, facts: ScreeningFacts | None = None, margin: float = 0.5
) -> dict[str, Any]:
    """The gate's fields; `gain`, `low` and `high` are those of the claim."""
    claimed = result.claimed
    return {
        "kind": "gate",
        "outcome": str(result.outcome),
        "reason": encode_reason(result.reason),
        "claim": result.claim,
        "gain": claimed.gain,
        "low": drop_infinite(claimed.low),
        "high": drop_infinite(claimed.high),
        "margin": margin,
        "e": result.e,
        "need": result.threshold,
        "pairs": result.pairs,
        "void": result.void,
        "components": [encode_numbers(asdict(c)) for c in result.components],
        "combos": [_encode_combo(row) for row in result.combos],
        "facts": None if facts is None else _encode_facts(facts),
    }


def encode_confirm(
    result: ConfirmResult, margin: float = 0.5, level: float = 0.99
) -> dict[str, Any]:
    """The confirmation's fields; `gain`, `low` and `high` are those of the claim."""
    claimed = result.claimed
    long_blocks = result.long_blocks
    return {
        "kind": "confirm",
        "verdict": str(result.verdict),
        "reason": encode_reason(result.reason),
        "claim": result.claim,
        "gain": claimed.gain,
        "low": drop_infinite(claimed.low),
        "high": drop_infinite(claimed.high),
        "level": level,
        "margin": margin,
        "pairs": result.pairs,
        "void": result.void,
        "components": [encode_numbers(asdict(c)) for c in result.components],
        "combos": [_encode_combo(row) for row in result.combos],
        "long_blocks": None if long_blocks is None else encode_numbers(asdict(long_blocks)),
    }


def _encode_kind(found: KindResult) -> dict[str, Any]:
    reason = None if found.reason is None else encode_reason(found.reason)
    return asdict(found) | {"verdict": str(found.verdict), "reason": reason}


def _decode_kind(fields: Mapping[str, Any]) -> KindResult:
    reason = None if fields["reason"] is None else decode_reason(fields["reason"])
    return KindResult(**{**fields, "verdict": Verdict(fields["verdict"]), "reason": reason})


def _encode_tier(result: TierResult) -> dict[str, Any]:
    return {
        "tier": result.tier,
        "reason": None if result.reason is None else encode_reason(result.reason),
        "components": [encode_numbers(asdict(c)) for c in result.components],
        "combos": [_encode_combo(row) for row in result.combos],
        "pairs": result.pairs,
        "void": result.void,
    }


def encode_reason(reason: Reason) -> dict[str, Any]:
    """Only the fields that say something."""
    fields = asdict(reason)
    silent = [k for k, v in fields.items() if v is None or v is False or v in ("", ())]
    kept = {k: drop_infinite(v) for k, v in fields.items() if k not in silent}
    return {**kept, "kind": str(reason.kind)}


def encode_fault(fault: Fault, *, public: bool = False) -> dict[str, Any]:
    """A fault; bytes and the kernel's own words only if the seed is public."""
    shown = public or not fault.kind.note_is_kernels
    return {
        "side": fault.side,
        "kind": str(fault.kind),
        "tier": fault.tier,
        "combo": fault.combo,
        "call": fault.call,
        "part": fault.part,
        "offset": fault.offset,
        "differs": fault.differs,
        "total": fault.total,
        "signal": fault.signal,
        "syscall": fault.syscall,
        "note": fault.note if shown else fault.named_place,
        "got": fault.got.hex() if public else None,
        "want": fault.want.hex() if public else None,
    }


def decode_results(fields: Mapping[str, Any], sentence: str = "") -> Results:
    """Read what `encode_results` wrote, or a row of version 1.

    Args:
        sentence: the row's reason for people; version 1 has nothing else.

    Raises:
        ValueError: fields of another shape.
    """
    try:
        return _decode_results(fields, sentence)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"results of another shape: {error}") from error


def _decode_results(fields: Mapping[str, Any], sentence: str) -> Results:
    reason = fields.get("reason")
    gate, confirm = fields.get("gate"), fields.get("confirm")
    fault, code = fields.get("fault"), fields.get("code")
    facts = gate.get("facts") if gate else None
    distinct = fields.get("distinct_inputs") or fields.get("unseen")
    opponent = fields.get("opponent")
    return Results(
        reason=decode_reason(reason) if reason else _parse_old_reason(sentence),
        checked=int(fields.get("checked", 0)),
        screening=decode_gate(gate) if gate else None,
        screening_facts=_decode_facts(facts) if facts else None,
        confirmation=decode_confirm(confirm) if confirm else None,
        distinct_inputs=decode_distinct(distinct) if distinct else None,
        opponent=decode_opponent(opponent) if opponent else None,
        totals=decode_totals(fields["totals"]) if fields.get("totals") else None,
        lower_tiers=tuple(map(_decode_tier, fields.get("lower_tiers", ()))),
        kinds=tuple(map(_decode_kind, fields.get("kinds", ()))),
        fault=_decode_fault(fault) if fault else None,
        code=_decode_code(code) if code else None,
        predicted=fields.get("predicted"),
        made_from=fields.get("made_from", ""),
        rewrites=tuple(RewriteStep(**step) for step in fields.get("rewrites", ())),
        tier=fields.get("tier", "native"),
        dose=tuple(fields.get("dose") or fields.get("came") or ()),
        margin=(confirm or gate or {}).get("margin", 0.5),
        level=(confirm or {}).get("level", 0.99),
    )  # fmt: skip


def _decode_code(fields: Mapping[str, Any]) -> CodeFacts:
    return CodeFacts(
        fields.get("digest", ""), fields.get("cached", False), fields.get("text_bytes"),
        fields.get("program", ""),
    )  # fmt: skip


def decode_reason(fields: Mapping[str, Any] | str) -> Reason:
    """A reason from its fields, from the name of its kind, or from a sentence of version 1."""
    if isinstance(fields, str):
        if fields in list(ReasonKind):
            return Reason(ReasonKind(fields))
        return _parse_old_reason(fields) or Reason(ReasonKind.OLD)
    known = {k: v for k, v in fields.items() if k in Reason.__dataclass_fields__}
    voids = tuple((str(cause), int(n)) for cause, n in known.pop("voids", ()))
    kind = ReasonKind(known.pop("kind"))
    return Reason(kind, **known, voids=voids)


def _parse_old_reason(sentence: str) -> Reason | None:
    """The reason of a row of version 1: its sentence, and the kind of its first words."""
    if not sentence:
        return None
    confirming = sentence.startswith("not confirmed")
    for pattern, kind in OLD_REASONS:
        if found := pattern.match(sentence):
            about = found.groupdict().get("about") or ""
            return Reason(kind, about, detail=sentence, at_confirmation=confirming)
    return Reason(ReasonKind.OLD, detail=sentence, at_confirmation=confirming)


def decode_gate(fields: Mapping[str, Any]) -> GateResult:
    """The gate's result from its fields."""
    return GateResult(
        outcome=Outcome(fields["outcome"]),
        reason=decode_reason(fields["reason"]),
        claim=fields["claim"],
        e=float(fields["e"]),
        threshold=float(fields["need"]),
        components=tuple(
            Component(c["name"], c["gain"], parse_lower(c["low"]), parse_upper(c["high"]),
                      float(c["e"]), float(c["e_below"]))
            for c in fields["components"]
        ),
        combos=tuple(map(_decode_combo, fields["combos"])),
        pairs=fields["pairs"],
        void=fields["void"],
    )  # fmt: skip


def decode_confirm(fields: Mapping[str, Any]) -> ConfirmResult:
    """The confirmation's result from its fields."""
    long_blocks = fields.get("long_blocks") or fields.get("licence")
    return ConfirmResult(
        verdict=Verdict(fields["verdict"]),
        reason=decode_reason(fields["reason"]),
        claim=fields["claim"],
        components=tuple(map(_decode_estimate, fields["components"])),
        combos=tuple(map(_decode_combo, fields["combos"])),
        long_blocks=_decode_estimate(long_blocks) if long_blocks else None,
        pairs=fields["pairs"],
        void=fields["void"],
    )


def _decode_tier(fields: Mapping[str, Any]) -> TierResult:
    reason = fields["reason"]
    return TierResult(
        tier=fields["tier"],
        reason=None if reason is None else decode_reason(reason),
        components=tuple(map(_decode_estimate, fields["components"])),
        combos=tuple(map(_decode_combo, fields["combos"])),
        pairs=fields["pairs"],
        void=fields["void"],
    )


def _decode_facts(fields: Mapping[str, Any]) -> ScreeningFacts:
    aa = fields.get("aa")
    rest = {k: fields[k] for k in ("slices", "seconds", "core", "nulls", "nulls_kept")}
    return ScreeningFacts(**rest, aa=_decode_estimate(aa) if aa else None)


def _decode_estimate(fields: Mapping[str, Any]) -> Estimate:
    low, high = parse_lower(fields["low"]), parse_upper(fields["high"])
    return Estimate(fields["name"], fields["gain"], low, high, fields["n"])


def _decode_combo(fields: Mapping[str, Any]) -> ComboRow:
    guard = str(fields["guard"])
    return ComboRow(
        combo=decode_combo_id(fields),
        champion_ns=fields["champion_ns"],
        candidate_ns=fields["candidate_ns"],
        gain=fields["gain"],
        low=parse_lower(fields["low"]),
        high=parse_upper(fields["high"]),
        # Version 1 wrote `may be -5.12%`.
        guard=Guard.MAY_BE_SLOWER if guard.startswith("may be") else Guard(guard),
    )


def _decode_fault(fields: Mapping[str, Any]) -> Fault:
    names = ("combo", "call", "part", "offset", "differs", "total", "signal", "syscall", "note",
             "side")  # fmt: skip
    return Fault(
        FaultKind(fields["kind"]),
        **{name: fields[name] for name in names},
        got=bytes.fromhex(fields.get("got") or ""),
        want=bytes.fromhex(fields.get("want") or ""),
        tier=fields.get("tier", "native"),
    )


def _encode_combo(row: ComboRow) -> dict[str, Any]:
    fields = {k: v for k, v in asdict(row).items() if k not in ("combo", "guard")}
    return {**encode_combo_id(row.combo), **encode_numbers(fields), "guard": str(row.guard)}


def _encode_facts(facts: ScreeningFacts) -> dict[str, Any]:
    aa = None if facts.aa is None else encode_numbers(asdict(facts.aa))
    return {**asdict(facts), "aa": aa}
