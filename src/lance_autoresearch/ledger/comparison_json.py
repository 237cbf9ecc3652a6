"""A comparison as JSON and back, without the loss of a bit: what ledger blobs and exports hold.

    {"v": 1, "kind": "comparison", "ticks_per_ns": 3.7, "aa_sd": [...],
     "combos": [{"op": "scan8", "name": "16x2048 clustered", "weight": 1.0}],
     "pairs": [{"calls": [31], "champion": [[184211, ...]], "candidate": [[181907, ...]],
                "empty": [212, 214], "void": null}]}

Ticks are integers and stay so; floats are written with all digits needed to read them back.
A recorded case wraps one: {"v": 1, "kind": "gate-case", "about": ..., "comparison": {...},
"policy": {changed fields}, "expect": {...}}. A trial's raw pairs are a list of one, or three to
five comparisons: screening, confirmation, long blocks, inputs never met before (defence D), the
champion behind others (defence S); of a trial that continued an earlier one, or
was judged by another policy, {"v": 1, "kind": "trial", "before": 24, "policy": {changed fields},
"parts": [...]}. Changed are fields that differ from `BASE`, which never changes, so that a verdict
of last year is replayed by last year's thresholds. Unknown versions, kinds and fields are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from lance_autoresearch.errors import UsageError
from lance_autoresearch.records import ComboId, Comparison, PairTimes
from lance_autoresearch.rules.policy import DEFAULT, Policy

VERSION = 1
MOST_PARTS = 5
"""Comparisons of one trial."""
BASE = replace(DEFAULT, max_pairs=24, licence_errors=3.0, slow_floor=-99.0, most_times=1.0)
"""The policy of a document that names none: whoever changes a default adds the old value here,
whoever adds a rule the value that turns it off."""


@dataclass(frozen=True, slots=True)
class GateCase:
    """A comparison with the policy it was judged by and what should come out."""

    comparison: Comparison
    policy: Policy = DEFAULT
    about: str = ""
    expect: Mapping[str, Any] = field(default_factory=dict)
    """`outcome`, and what else the recorder wants held: `claim`, `pairs`, `reason`, ..."""
    before: int = 0
    """How many of the pairs are those of an earlier, undecided trial that this one continued."""


def to_json(comparison: Comparison) -> str:
    """One line; equal comparisons give equal bytes."""
    return json.dumps(_comparison_body(comparison), separators=(",", ":"), allow_nan=False)


def from_json(text: str | bytes) -> Comparison:
    """Read what `to_json` wrote. Raises UsageError for anything else."""
    return _comparison(_parse(text))


def case_to_json(case: GateCase) -> str:
    """A recorded case, one line per pair so that a difference can be read."""
    changed = _changed(case.policy)
    body = _comparison_body(case.comparison)
    pairs = ",\n".join(json.dumps(p, separators=(",", ":")) for p in body.pop("pairs"))
    inner = json.dumps(body, allow_nan=False)
    head = {"v": VERSION, "kind": "gate-case", "about": case.about, "expect": dict(case.expect)}
    if changed:
        head["policy"] = changed
    return f'{json.dumps(head)[:-1]}, "comparison":\n{inner[:-1]}, "pairs": [\n{pairs}\n]}}}}\n'


def case_from_json(text: str | bytes) -> GateCase:
    """Read a recorded case, or a bare comparison as a case without expectations."""
    body = _parse(text)
    if body.get("kind") == "comparison":
        return GateCase(_comparison(body))
    _head(body, "gate-case", {"about", "expect", "policy", "comparison"})
    policy = _policy(body.get("policy", {}), "gate-case")
    return GateCase(
        comparison=_comparison(_typed(body.get("comparison"), dict, "comparison")),
        policy=policy,
        about=str(body.get("about", "")),
        expect=_typed(body.get("expect", {}), dict, "expect"),
    )


def trial_to_json(parts: Sequence[Comparison], policy: Policy = DEFAULT, before: int = 0) -> str:
    """A trial's raw pairs with all that is needed to judge them again, bit for bit."""
    body = "[" + ",".join(to_json(part) for part in parts) + "]"
    changed = _changed(policy)
    if not before and not changed:
        return body
    head = {"v": VERSION, "kind": "trial", "before": before, "policy": changed}
    return f'{json.dumps(head, separators=(",", ":"))[:-1]},"parts":{body}}}'


def trial_from_json(text: str | bytes) -> tuple[GateCase, ...]:
    """Read a trial's raw pairs: [screening], or that with confirmation, long blocks, D, S."""
    document = _load(text)
    body = {"v": VERSION, "kind": "trial", "parts": document}
    if not isinstance(document, list):
        body = _typed(document, dict, "the document")
        _head(body, "trial", {"before", "policy", "parts"})
    parts = _typed(body.get("parts"), list, "parts")
    if not 1 <= len(parts) <= MOST_PARTS:
        allowed = map(str, range(1, MOST_PARTS + 1))
        raise UsageError(f"{len(parts)} comparisons", where="trial", allowed=allowed)
    policy = _policy(body.get("policy", {}), "trial")
    before = _typed(body.get("before", 0), int, "before")
    whole = [_comparison(_typed(p, dict, "a comparison")) for p in parts]
    if not 0 <= before < max(1, len(whole[0].pairs)):
        raise UsageError(f"continued after {before} pairs of {len(whole[0].pairs)}", where="trial")
    first = GateCase(whole[0], policy, before=before)
    return (first, *(GateCase(c, policy) for c in whole[1:]))


def recorded_from_json(text: str | bytes) -> tuple[GateCase, ...]:
    """Read whatever `lar gate` reads: a trial's raw pairs, a recorded case, a comparison."""
    document = _load(text)
    if isinstance(document, list) or (
        isinstance(document, dict) and document.get("kind") == "trial"
    ):
        return trial_from_json(text)
    return (case_from_json(text),)


def _changed(policy: Policy) -> dict[str, Any]:
    """The fields of a policy that a document must name."""
    return {
        f.name: value
        for f in fields(Policy)
        if (value := getattr(policy, f.name)) != getattr(BASE, f.name)
    }


def _policy(body: Any, where: str) -> Policy:
    changed = _typed(body, dict, "policy")
    known = {f.name for f in fields(Policy)}
    if unknown := sorted(set(changed) - known):
        raise UsageError(f"unknown policy field {unknown[0]!r}", where=where, allowed=known)
    numbers: dict[str, Any] = {k: _number(v, k) for k, v in changed.items()}
    return replace(BASE, **numbers)


def _comparison_body(comparison: Comparison) -> dict[str, Any]:
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
                "void": p.void,
            }
            for p in comparison.pairs
        ],
    }


def _load(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError("not JSON", where="comparison", next="lar gate --help") from error


def _parse(text: str | bytes) -> dict[str, Any]:
    document: dict[str, Any] = _typed(_load(text), dict, "the document")
    return document


def _head(body: Mapping[str, Any], kind: str, known: set[str]) -> None:
    if body.get("v") != VERSION or isinstance(body.get("v"), bool):
        raise UsageError(f"version {body.get('v')!r} is unknown", where=kind, allowed=["1"])
    if body.get("kind") != kind:
        raise UsageError(f"kind {body.get('kind')!r} is unknown", where=kind, allowed=[kind])
    if unknown := sorted(set(body) - known - {"v", "kind"}):
        raise UsageError(f"unknown field {unknown[0]!r}", where=kind, allowed=sorted(known))


def _comparison(body: Mapping[str, Any]) -> Comparison:
    _head(body, "comparison", {"ticks_per_ns", "aa_sd", "combos", "pairs"})
    return Comparison(
        combos=tuple(_combo(c) for c in _typed(body.get("combos"), list, "combos")),
        pairs=tuple(_pair(p) for p in _typed(body.get("pairs"), list, "pairs")),
        ticks_per_ns=float(_number(body.get("ticks_per_ns"), "ticks_per_ns")),
        aa_sd=tuple(float(_number(s, "aa_sd")) for s in _typed(body.get("aa_sd"), list, "aa_sd")),
    )


def _combo(body: Any) -> ComboId:
    fields_ = _typed(body, dict, "a combo")
    return ComboId(
        op=_typed(fields_.get("op"), str, "op"),
        name=_typed(fields_.get("name"), str, "name"),
        weight=float(_number(fields_.get("weight", 1.0), "weight")),
    )


def _pair(body: Any) -> PairTimes:
    pair = _typed(body, dict, "a pair")
    empty = _ticks(pair.get("empty"))
    if len(empty) != 2:
        raise UsageError("empty needs two numbers", where="comparison")
    void = pair.get("void")
    return PairTimes(
        calls=_ticks(pair.get("calls")),
        champion=tuple(_ticks(c) for c in _typed(pair.get("champion"), list, "champion")),
        candidate=tuple(_ticks(c) for c in _typed(pair.get("candidate"), list, "candidate")),
        empty=(empty[0], empty[1]),
        void=None if void is None else _typed(void, str, "void"),
    )


def _ticks(body: Any) -> tuple[int, ...]:
    return tuple(_typed(v, int, "ticks") for v in _typed(body, list, "a list of ticks"))


def _number(value: Any, what: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{what} is not a number", where="comparison")
    return value


def _typed(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UsageError(f"{what} is not a {kind.__name__}", where="comparison")
    return value
