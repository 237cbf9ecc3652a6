"""A kernel's fault in one sentence: what, where, by how much, and the command that repeats it.

The conductor compares outputs and judges; this repeats its rules only to word what it found:

    pq-l2: kernels.rs disagrees with Lance at 768x96 large-dynamic-range, op scan, value 113:
    4.125 vs 4.12310028 (must be bit-equal, 3983 ulp apart). 38 of 771 values differ.
    Repeat: lar check pq-l2 --case 14

Values are shown only for public seeds; of secret inputs nothing but places and counts leaves
this module, and of a dying kernel's own words only the line of `kernels.rs` they name: a panic
message could carry the inputs out. Pure: bytes and records in, text out.
"""

from __future__ import annotations

import math
import re
import signal
import struct
from collections.abc import Collection
from typing import Any

from lance_autoresearch.records import Fault
from lance_autoresearch.targets.spec import Out, Target
from lance_autoresearch.text.plain_text import stripped, untrusted

FLOATS = {"f32": "<f", "f64": "<d"}
PLACE = re.compile(r"\bkernels\.rs:\d{1,6}(?::\d{1,4})?")
KERNELS_OWN_WORDS = frozenset({"panic", "signal", "timeout", "sandbox", "memory"})
"""Kinds whose note may come from the kernel's process; other notes are the conductor's."""

ADVICE = {
    "poison": "write every element of the output; it holds random bytes before each call",
    "slack": "write only inside the slice the contract hands over",
    "late_write": "finish every write before returning; nothing may run on after a call",
    "panic": "a panic is a wrong answer; handle this input",
    "signal": "look at indices, lengths and alignment in unsafe code",
    "timeout": "look for a loop that may not end on this input",
    "sandbox": "a kernel may only compute: no system calls, threads, files or clocks",
    "memory": "use less memory; what Lance's own code needs is always granted",
    "arm": "do all work inside the call; between calls a kernel does nothing",
}


def differences(
    rule: str, got: bytes, want: bytes, elem: int, ties: Collection[int] = ()
) -> list[int]:
    """Indices of the elements that break `rule`; those one side lacks count as different.

    Args:
        rule: bytes; bits32, bits64 (equal bits, or both NaN); ulp32:N; tieband.
        elem: bytes of one element.
        ties: rule tieband, ids as u64: all rows at the k-th distance. Where upstream chose one
            of them the kernel may choose another, in ascending order, each once.
    Raises ValueError for an unknown rule.
    """
    check_rule(rule)
    length = max(len(got), len(want))
    band = frozenset(ties)
    broken, before = [], -1
    for i in range(-(-length // elem)):
        a, b = (side[i * elem : (i + 1) * elem] for side in (got, want))
        if rule == "tieband" and len(a) == len(b) == elem and int.from_bytes(b, "little") in band:
            chosen = int.from_bytes(a, "little")
            same, before = chosen in band and chosen > before, chosen
        else:
            same = _same(rule, a, b)
        if not same:
            broken.append(i)
    return broken


def check_rule(rule: str) -> None:
    """Raise ValueError for a rule the conductor does not know."""
    if rule not in ("bytes", "bits32", "bits64", "tieband") and not re.fullmatch(
        r"ulp32:\d{1,9}", rule
    ):
        raise ValueError(f"unknown rule {rule!r}")


def ulp_distance(got: bytes, want: bytes) -> int | None:
    """Steps between two floats of 4 or 8 bytes; None if one is NaN; -0 and +0 are 0 apart."""
    if len(got) != len(want) or len(got) not in (4, 8):
        return None
    code = "<f" if len(got) == 4 else "<d"
    if any(math.isnan(struct.unpack(code, side)[0]) for side in (got, want)):
        return None
    return abs(_ordinal(got) - _ordinal(want))


def show(element: bytes, dtype: str) -> str:
    """One element as people read it: `4.125`, `NaN(0x7fc00001)`, `771`, `0x1f`."""
    if dtype in FLOATS and len(element) == struct.calcsize(FLOATS[dtype]):
        value = struct.unpack(FLOATS[dtype], element)[0]
        if math.isnan(value):
            return f"NaN(0x{int.from_bytes(element, 'little'):0{2 * len(element)}x})"
        return f"{value:.9g}" if dtype == "f32" else f"{value:.17g}"
    if dtype == "u8" or len(element) not in (1, 2, 4, 8):
        return f"0x{element[:16].hex()}"
    return str(int.from_bytes(element, "little", signed=dtype.startswith("i")))


def fault_text(
    target: Target,
    fault: Fault,
    tier: str = "native",
    *,
    public: bool = False,
    case: int | None = None,
) -> str:
    """The fault as one bounded line.

    Args:
        tier: CPU tier the case ran at; named unless it is `native`.
        public: the case's seed is public, so values and the kernel's words may be shown.
        case: number for `lar check TARGET --case N`.
    """
    out = _output(target, fault)
    parts = [f"{target.name}: {_what(fault)}{_where(target, fault, out, tier)}"]
    if fault.kind == "mismatch" and fault.total:
        parts[0] += f": {_values(fault, out, public)}"
    parts[0] += "."
    if fault.total and fault.kind in ("mismatch", "poison"):
        parts.append(f"{fault.differs:,} of {fault.total:,} values differ.")
    if words := _words(fault, public):
        parts.append(words)
    if fault.kind in ADVICE and fault.side == "candidate":
        parts.append(f"{ADVICE[fault.kind].capitalize()}.")
    if fault.side != "candidate":
        parts.append("This is no fault of the candidate.")
    if case is not None:
        parts.append(f"Repeat: lar check {target.name} --case {case}")
    return " ".join(parts)


def fault_numbers(fault: Fault, *, public: bool = False) -> dict[str, Any]:
    """The fault for JSON and the ledger; bytes and words only where the seed is public."""
    return {
        "side": fault.side,
        "kind": fault.kind,
        "combo": fault.combo,
        "call": fault.call,
        "part": fault.part,
        "offset": fault.offset,
        "differs": fault.differs,
        "total": fault.total,
        "signal": fault.signal,
        "syscall": fault.syscall,
        "note": _words(fault, public) or None,
        "got": fault.got.hex() if public else None,
        "want": fault.want.hex() if public else None,
    }


def _same(rule: str, got: bytes, want: bytes) -> bool:
    if got == want:
        return True
    code = {"bits32": "<f", "bits64": "<d"}.get(rule, "<f" if rule.startswith("ulp32") else "")
    if not code or not len(got) == len(want) == struct.calcsize(code):
        return False
    nans = [math.isnan(struct.unpack(code, side)[0]) for side in (got, want)]
    if any(nans):
        return all(nans)
    if not rule.startswith("ulp32"):
        return False
    distance = ulp_distance(got, want)
    return distance is not None and distance <= int(rule.partition(":")[2])


def _ordinal(element: bytes) -> int:
    """Position of a float among all floats: sign and magnitude to a plain integer."""
    bits = int.from_bytes(element, "little")
    top = 1 << (8 * len(element) - 1)
    return -(bits - top) if bits & top else bits


def _output(target: Target, fault: Fault) -> Out | None:
    op, _ = _op_and_rest(target, fault)
    outputs = next((o.outputs for o in target.ops if o.name == op), ())
    return outputs[fault.part] if fault.part < len(outputs) else None


def _op_and_rest(target: Target, fault: Fault) -> tuple[str, str]:
    """`scan8 16x2048 clustered` -> (`scan8`, `16x2048 clustered`); an unknown op stays in it."""
    head, _, rest = fault.combo.partition(" ")
    return (head, rest) if head in {o.name for o in target.ops} else ("", fault.combo)


def _what(fault: Fault) -> str:
    who = "kernels.rs" if fault.side == "candidate" else "the champion"
    if fault.kind == "signal":
        return f"{who} died of {_signal_name(fault.signal)}"
    if fault.kind == "sandbox":
        call = f" by system call {stripped(fault.syscall, 40)}" if fault.syscall else ""
        return f"{who} reached out of its box{call}"
    deeds = {
        "mismatch": "disagrees with Lance",
        "poison": "left output unwritten",
        "slack": "wrote outside its output",
        "late_write": "changed its output after it had returned",
        "panic": "panicked",
        "timeout": "did not return in time",
        "memory": "asked for more memory than it may have",
        "arm": "was busy before its call began",
    }
    return f"{who} {deeds.get(fault.kind, f'failed ({stripped(fault.kind, 40)})')}"


def _where(target: Target, fault: Fault, out: Out | None, tier: str) -> str:
    op, at = _op_and_rest(target, fault)
    words = f" at {at}" if at else ""
    words += f", op {op}" if op else ""
    words += f", tier {tier}" if tier != "native" else ""
    if fault.kind in ("mismatch", "poison") and fault.total:
        several = op and len(next(o.outputs for o in target.ops if o.name == op)) > 1
        words += f", output {fault.part}" if several else ""
        words += f", value {fault.offset // out.elem}" if out else f", byte {fault.offset}"
    elif fault.kind in ("slack", "late_write") and fault.offset:
        words += f", byte {fault.offset}"
    return words


def _values(fault: Fault, out: Out | None, public: bool) -> str:
    must = _must(out)
    if not public:
        return f"{must}; values of secret inputs are not shown"
    dtype, elem = (out.dtype, out.elem) if out else ("bytes", max(1, len(fault.got)))
    got, want = fault.got[:elem], fault.want[:elem]
    if len(got) < elem or len(want) < elem:
        return f"one side ends there ({must})"
    apart = ulp_distance(got, want) if dtype in FLOATS else None
    distance = f", {apart:,} ulp apart" if apart else ""
    return f"{show(got, dtype)} vs {show(want, dtype)} ({must}{distance})"


def _must(out: Out | None) -> str:
    rule = out.rule if out else "bytes"
    if rule.startswith("ulp32:"):
        return f"must be within {rule.partition(':')[2]} ulp"
    return {
        "bits32": "must be bit-equal",
        "bits64": "must be bit-equal",
        "tieband": "must be equal but for rows tied at the last distance",
    }.get(rule, "must be equal")


def _words(fault: Fault, public: bool) -> str:
    """The conductor's note plainly; a kernel's marked, or only the line it names."""
    if not fault.note:
        return ""
    if fault.kind not in KERNELS_OWN_WORDS:
        return f"({stripped(fault.note, 200)})"
    if public:
        return untrusted(fault.note)
    place = PLACE.search(fault.note)
    return f"It names {place.group()}." if place else ""


def _signal_name(number: int | None) -> str:
    try:
        return f"signal {number} ({signal.Signals(number or 0).name})"
    except ValueError:
        return f"signal {number}"
