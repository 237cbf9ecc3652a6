"""Raw pairs as JSON and back, without the loss of a bit: the contents of ledger blobs and exports.

    {"v": 1, "kind": "comparison", "ticks_per_ns": 3.7, "aa_sd": [...],
     "combos": [{"op": "hamming", "name": "1024 random", "weight": 1.0}],
     "pairs": [{"calls": [31], "champion": [[184211, ...]], "candidate": [[181907, ...]],
                "empty": [212, 214], "void": null}]}

Ticks are integers and stay so; floats are written with all digits needed to read them back.
A recorded case wraps one: {"v": 1, "kind": "gate-case", "about": ..., "comparison": {...},
"policy": {changed fields}, "expect": {...}}.

A trial's raw pairs are {"v": 2, "kind": "trial", "before": 0, "claim": 2.1, "policy": {changed
fields}, "parts": {"screening": {...}, "confirmation": {...}, "tier avx2": {...}, ...}}. Version 1
held the parts in a list, in the order of `PARTS`, and a void pair as a sentence. Changed are
fields that differ from `BASE`, which never changes, so that a verdict of last year is replayed by
last year's thresholds. Unknown versions, kinds and fields are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from lance_autoresearch.errors import UsageError
from lance_autoresearch.ledger.totals_json import decode_totals_times, encode_totals_times
from lance_autoresearch.records import (
    ComboId,
    Comparison,
    PairTimes,
    TrialPairs,
    Void,
    VoidCause,
)
from lance_autoresearch.rules.policy import DEFAULT, Policy

VERSION = 1
TRIAL_VERSION = 2
PARTS = ("screening", "confirmation", "long_blocks", "distinct_inputs", "opponent")
"""Names of a trial's parts, in the order of version 1."""
TIER = "tier "
"""Prefix of a part that holds the pairs of a lower CPU tier."""
MOST_PARTS = 12
"""Comparisons of one trial."""
LARGEST = 1e15
"""No number of a document is larger: a day of ticks is below 1e15, and sums stay finite."""
SMALLEST = 1e-9
BASE = replace(
    DEFAULT, max_pairs=24, long_block_errors=3.0, slow_floor=-99.0, most_times=1.0,
    defence_level=0.0,
)  # fmt: skip
"""The policy of a document that names none. A change of a default adds the old value here;
a new rule adds the value that turns it off."""
OLD_FIELDS: Mapping[str, str] = {
    "need": "e_threshold",
    "need_below": "futility_threshold",
    "prior": "mixture_variance",
    "licence_pairs": "long_block_pairs",
    "licence_rounds": "long_block_rounds",
    "licence_slack": "long_block_slack",
    "licence_share": "long_block_share",
    "licence_errors": "long_block_errors",
    "unseen_pairs": "distinct_pairs",
    "unseen_rounds": "distinct_rounds",
    "unseen_share": "distinct_share",
    "unseen_slack": "distinct_slack",
}
"""Fields of the policy that older documents know by another name."""
OLD_VOIDS: Sequence[tuple[str, VoidCause]] = (
    ("the clock jumped", VoidCause.CLOCK_JUMPED),
    ("the machine slept", VoidCause.MACHINE_SLEPT),
    ("foreign", VoidCause.FOREIGN_WORK),
    ("arm: the champion", VoidCause.CHAMPION_SLOW_TO_ARM),
    ("arm: the candidate", VoidCause.CANDIDATE_SLOW_TO_ARM),
    ("never began", VoidCause.NEVER_BEGAN),
)
"""Beginning of a sentence of version 1, and the cause that it means."""


@dataclass(frozen=True, slots=True)
class TrialDocument:
    """A trial's raw pairs with the policy that judged them."""

    pairs: TrialPairs
    policy: Policy


@dataclass(frozen=True, slots=True)
class GateCase:
    """A comparison with the policy that judged it and the expected result."""

    comparison: Comparison
    policy: Policy = DEFAULT
    about: str = ""
    expect: Mapping[str, Any] = field(default_factory=dict)
    """`outcome`, and further expectations: `claim`, `pairs`, `reason`, ..."""


def encode_comparison(comparison: Comparison) -> str:
    """One line; equal comparisons give equal bytes."""
    return json.dumps(_build_comparison_body(comparison), separators=(",", ":"), allow_nan=False)


def decode_comparison(text: str | bytes) -> Comparison:
    """Read what `encode_comparison` wrote. Raises UsageError for anything else."""
    return _parse_comparison(_parse(text))


def encode_case(case: GateCase) -> str:
    """A recorded case, one line per pair so that a difference can be read."""
    changed = _list_changed(case.policy)
    body = _build_comparison_body(case.comparison)
    pairs = ",\n".join(json.dumps(p, separators=(",", ":")) for p in body.pop("pairs"))
    inner = json.dumps(body, allow_nan=False)
    head = {"v": VERSION, "kind": "gate-case", "about": case.about, "expect": dict(case.expect)}
    if changed:
        head["policy"] = changed
    return f'{json.dumps(head)[:-1]}, "comparison":\n{inner[:-1]}, "pairs": [\n{pairs}\n]}}}}\n'


def decode_case(text: str | bytes) -> GateCase:
    """Read a recorded case, or a bare comparison as a case without expectations."""
    body = _parse(text)
    if body.get("kind") == "comparison":
        return GateCase(_parse_comparison(body))
    _check_head(body, "gate-case", {"about", "expect", "policy", "comparison"})
    policy = _parse_policy(body.get("policy", {}), "gate-case")
    return GateCase(
        comparison=_parse_comparison(_parse_typed(body.get("comparison"), dict, "comparison")),
        policy=policy,
        about=str(body.get("about", "")),
        expect=_parse_typed(body.get("expect", {}), dict, "expect"),
    )


def encode_trial(pairs: TrialPairs, policy: Policy) -> str:
    """A trial's raw pairs with all that is needed to judge them again, bit for bit."""
    parts: dict[str, Comparison | None] = {name: getattr(pairs, name) for name in PARTS}
    parts |= {f"{TIER}{tier}": found for tier, found in pairs.lower_tiers.items()}
    document = {
        "v": TRIAL_VERSION,
        "kind": "trial",
        "before": pairs.before,
        "claim": pairs.judged_claim,
        "policy": _list_changed(policy),
        **({} if pairs.totals is None else {"totals": encode_totals_times(pairs.totals)}),
        "parts": {k: _build_comparison_body(v) for k, v in parts.items() if v is not None},
    }
    return json.dumps(document, separators=(",", ":"), allow_nan=False)


def decode_trial(text: str | bytes) -> TrialDocument:
    """Read a trial's raw pairs, of version 2 or 1."""
    document = _load(text)
    if isinstance(document, list):
        document = {"v": 1, "kind": "trial", "parts": document}
    body = _parse_typed(document, dict, "the document")
    known = {"before", "claim", "policy", "totals", "parts"}
    _check_head(body, "trial", known, versions=(1, TRIAL_VERSION))
    parts = _name_parts(body.get("parts"))
    policy = _parse_policy(body.get("policy", {}), "trial")
    before = _parse_typed(body.get("before", 0), int, "before")
    claim = body.get("claim")
    tiers = {k.removeprefix(TIER): v for k, v in parts.items() if k.startswith(TIER)}
    plain = {k: v for k, v in parts.items() if not k.startswith(TIER)}
    drawn = body.get("totals")
    pairs = TrialPairs(
        **plain, lower_tiers=tiers, before=before,
        totals=None if drawn is None else decode_totals_times(drawn),
        judged_claim=None if claim is None else float(_parse_number(claim, "claim")),
    )  # fmt: skip
    if odd := [name for name, part in parts.items() if part.combos != pairs.screening.combos]:
        raise UsageError(f"{odd[0]} times other combos than the screening", where="trial")
    if pairs.judged_claim is not None and not pairs.judged_claim > -100.0:
        raise UsageError(f"claim {pairs.judged_claim} is no gain", where="trial")
    seen = len(pairs.screening.pairs)
    if not 0 <= before < max(1, seen):
        raise UsageError(f"continued after {before} pairs of {seen}", where="trial")
    return TrialDocument(pairs, policy)


def _name_parts(parts: Any) -> dict[str, Comparison]:
    """Part name -> comparison; a list has the names of version 1."""
    if isinstance(parts, list):
        if not 1 <= len(parts) <= len(PARTS):
            allowed = map(str, range(1, len(PARTS) + 1))
            raise UsageError(f"{len(parts)} comparisons", where="trial", allowed=allowed)
        parts = dict(zip(PARTS, parts, strict=False))
    named = _parse_typed(parts, dict, "parts")
    unknown = [k for k in named if k not in PARTS and not k.startswith(TIER)]
    if unknown or "screening" not in named or len(named) > MOST_PARTS:
        what = f"unknown part {unknown[0]!r}" if unknown else "no screening, or too many parts"
        raise UsageError(what, where="trial", allowed=[*PARTS, f"{TIER}NAME"])
    return {k: _parse_comparison(_parse_typed(v, dict, "a comparison")) for k, v in named.items()}


def decode_recorded(text: str | bytes) -> TrialDocument | GateCase:
    """Read what `lar rejudge` reads: a trial's raw pairs, a recorded case, a comparison."""
    document = _load(text)
    if isinstance(document, list) or (
        isinstance(document, dict) and document.get("kind") == "trial"
    ):
        return decode_trial(text)
    return decode_case(text)


def _list_changed(policy: Policy) -> dict[str, Any]:
    """The fields of a policy that a document must name."""
    return {
        f.name: value
        for f in fields(Policy)
        if (value := getattr(policy, f.name)) != getattr(BASE, f.name)
    }


def _parse_policy(body: Any, where: str) -> Policy:
    changed = _parse_typed(body, dict, "policy")
    changed = {OLD_FIELDS.get(k, k): v for k, v in changed.items()}
    known = {f.name for f in fields(Policy)}
    if unknown := sorted(set(changed) - known):
        raise UsageError(f"unknown policy field {unknown[0]!r}", where=where, allowed=known)
    numbers: dict[str, Any] = {k: _parse_number(v, k) for k, v in changed.items()}
    return replace(BASE, **numbers)


def _build_comparison_body(comparison: Comparison) -> dict[str, Any]:
    return {
        "v": VERSION,
        "kind": "comparison",
        "ticks_per_ns": comparison.ticks_per_ns,
        "aa_sd": list(comparison.aa_sd),
        "combos": [{"op": c.op, "name": c.name, "weight": c.weight} for c in comparison.combos],
        "pairs": [
            {
                "calls": p.calls,
                "champion": p.champion,
                "candidate": p.candidate,
                "empty": p.empty,
                "void": None if p.void is None else [str(p.void.cause), p.void.detail],
            }
            for p in comparison.pairs
        ],
    }


def _load(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError("not JSON", where="comparison", next="lar rejudge --help") from error


def _parse(text: str | bytes) -> dict[str, Any]:
    document: dict[str, Any] = _parse_typed(_load(text), dict, "the document")
    return document


def _check_head(
    body: Mapping[str, Any], kind: str, known: set[str], versions: Sequence[int] = (VERSION,)
) -> None:
    if body.get("v") not in versions or isinstance(body.get("v"), bool):
        allowed = map(str, versions)
        raise UsageError(f"version {body.get('v')!r} is unknown", where=kind, allowed=allowed)
    if body.get("kind") != kind:
        raise UsageError(f"kind {body.get('kind')!r} is unknown", where=kind, allowed=[kind])
    if unknown := sorted(set(body) - known - {"v", "kind"}):
        raise UsageError(f"unknown field {unknown[0]!r}", where=kind, allowed=sorted(known))


def _parse_comparison(body: Mapping[str, Any]) -> Comparison:
    _check_head(body, "comparison", {"ticks_per_ns", "aa_sd", "combos", "pairs"})
    return Comparison(
        combos=tuple(_parse_combo(c) for c in _parse_typed(body.get("combos"), list, "combos")),
        pairs=tuple(_parse_pair(p) for p in _parse_typed(body.get("pairs"), list, "pairs")),
        ticks_per_ns=float(_parse_positive(body.get("ticks_per_ns"), "ticks_per_ns", SMALLEST)),
        aa_sd=tuple(
            float(_parse_number(s, "aa_sd")) for s in _parse_typed(body.get("aa_sd"), list, "aa_sd")
        ),
    )


def _parse_combo(body: Any) -> ComboId:
    fields_ = _parse_typed(body, dict, "a combo")
    return ComboId(
        op=_parse_typed(fields_.get("op"), str, "op"),
        name=_parse_typed(fields_.get("name"), str, "name"),
        weight=float(_parse_positive(fields_.get("weight", 1.0), "weight", 0.0)),
    )


def _parse_pair(body: Any) -> PairTimes:
    pair = _parse_typed(body, dict, "a pair")
    empty = _parse_ticks(pair.get("empty"))
    if len(empty) != 2:
        raise UsageError("empty needs two numbers", where="comparison")
    void = pair.get("void")
    return PairTimes(
        calls=_parse_ticks(pair.get("calls")),
        champion=tuple(
            _parse_ticks(c) for c in _parse_typed(pair.get("champion"), list, "champion")
        ),
        candidate=tuple(
            _parse_ticks(c) for c in _parse_typed(pair.get("candidate"), list, "candidate")
        ),
        empty=(empty[0], empty[1]),
        void=None if void is None else _parse_void(void),
    )


def _parse_void(body: Any) -> Void:
    """A void pair's cause and detail; version 1 had a sentence."""
    if isinstance(body, str):
        begins = ((cause, body.startswith(words)) for words, cause in OLD_VOIDS)
        return Void(next((cause for cause, fits in begins if fits), VoidCause.OTHER), body)
    words = _parse_typed(body, list, "void")
    if len(words) != 2 or words[0] not in list(VoidCause):
        raise UsageError("void is not a cause with its detail", where="comparison",
                         allowed=list(VoidCause))
    return Void(VoidCause(words[0]), _parse_typed(words[1], str, "void"))


def _parse_ticks(body: Any) -> tuple[int, ...]:
    return tuple(
        int(_parse_number(_parse_typed(v, int, "ticks"), "ticks"))
        for v in _parse_typed(body, list, "a list of ticks")
    )


def _parse_number(value: Any, what: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{what} is not a number", where="comparison")
    if not -LARGEST <= value <= LARGEST:    # also refuses nan
        raise UsageError(f"{what} is out of range", where="comparison",
                         allowed=[f"{-LARGEST:g} .. {LARGEST:g}"])
    return value


def _parse_positive(value: Any, what: str, least: float) -> int | float:
    if (number := _parse_number(value, what)) < least:
        raise UsageError(f"{what} is below {least:g}", where="comparison")
    return number


def _parse_typed(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UsageError(f"{what} is not a {kind.__name__}", where="comparison")
    return value
