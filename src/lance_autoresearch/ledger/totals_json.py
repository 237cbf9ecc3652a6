"""Raw times of distinct inputs as JSON and back: one part of a trial's document.

    {"ticks_per_ns": 2.4, "ops": [{"op": "hamming", "classes": [["drawn skewed", "m 10 to 99"]],
     "inputs": [0, 0, 1]}], "pairs": [{"picks": [[2, 1]], "champion": [[...]], "candidate": [[...]],
     "empty": [212, 214], "void": null}]}
"""

from __future__ import annotations

from typing import Any

from lance_autoresearch.errors import UsageError
from lance_autoresearch.records import (
    InputClass,
    OpInputs,
    PairTimes,
    TotalsPair,
    TotalTimes,
    Void,
    VoidCause,
)


def encode_totals_times(times: TotalTimes) -> dict[str, Any]:
    """JSON-able fields; equal times give equal fields."""
    return {
        "ticks_per_ns": times.ticks_per_ns,
        "ops": [_encode_inputs(own) for own in times.ops],
        "pairs": [
            {
                "picks": pair.picks,
                "champion": pair.times.champion,
                "candidate": pair.times.candidate,
                "empty": pair.times.empty,
                "void": None
                if pair.times.void is None
                else [str(pair.times.void.cause), pair.times.void.detail],
            }
            for pair in times.pairs
        ],
    }


def _encode_inputs(own: OpInputs) -> dict[str, Any]:
    classes = list(dict.fromkeys(own.inputs))
    seat = {one: i for i, one in enumerate(classes)}
    return {
        "op": own.op,
        "classes": [[one.family, one.size] for one in classes],
        "inputs": [seat[one] for one in own.inputs],
    }


def decode_totals_times(fields: Any) -> TotalTimes:
    """Read what `encode_totals_times` wrote. Raises UsageError for anything else."""
    try:
        times = TotalTimes(
            ops=tuple(_decode_inputs(own) for own in fields["ops"]),
            pairs=tuple(_decode_pair(pair) for pair in fields["pairs"]),
            ticks_per_ns=float(fields["ticks_per_ns"]),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UsageError(f"times of distinct inputs: {error}", where="trial") from error
    if not times.ticks_per_ns > 0.0:
        raise UsageError("ticks_per_ns not positive", where="trial")
    for pair in times.pairs:
        _check_pair(pair, times.ops)
    return times


def _decode_inputs(fields: Any) -> OpInputs:
    classes = [InputClass(str(family), str(size)) for family, size in fields["classes"]]
    return OpInputs(str(fields["op"]), tuple(classes[int(i)] for i in fields["inputs"]))


def _decode_pair(fields: Any) -> TotalsPair:
    picks, champion, candidate = (
        tuple(tuple(int(v) for v in own) for own in fields[name])
        for name in ("picks", "champion", "candidate")
    )
    first, second = fields["empty"]
    void = fields["void"]
    return TotalsPair(
        picks,
        PairTimes(
            (1,) * len(picks), champion, candidate, (int(first), int(second)),
            None if void is None else Void(VoidCause(void[0]), str(void[1])),
        ),
    )  # fmt: skip


def _check_pair(pair: TotalsPair, ops: tuple[OpInputs, ...]) -> None:
    """Raise UsageError if a pair does not fit the inputs."""
    sides = pair.picks, pair.times.champion, pair.times.candidate
    if any(len(side) != len(ops) for side in sides):
        raise UsageError("a pair over distinct inputs does not have every op", where="trial")
    for own, picks, champion, candidate in zip(ops, *sides, strict=True):
        if not len(picks) == len(champion) == len(candidate):
            raise UsageError("sides differ in inputs", where="trial")
        if picks and not 0 <= min(picks) <= max(picks) < len(own.inputs):
            raise UsageError(f"no such input of {own.op}", where="trial")
        if champion and min(*champion, *candidate) <= 0:
            raise UsageError("a time is not positive", where="trial")
