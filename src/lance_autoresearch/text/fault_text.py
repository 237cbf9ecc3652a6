"""A kernel's fault in one sentence: what, where, by how much, and the command that repeats it.

The conductor compares outputs; this module words the difference:

    hamming: kernels.rs disagrees with Lance at 4096 skewed, op hamming, value 113:
    4.125 vs 4.12310028 (must be bit-equal, 3983 ulp apart). 38 of 771 values differ.
    Only this case: --case 14

Values are shown only for public seeds; of secret inputs nothing but places and counts leaves
this module, and of a dying kernel's own words only the line of `kernels.rs` they name: a panic
message could carry the inputs out. Pure: bytes and records in, text out.
"""

from __future__ import annotations

import math
import signal
import struct
from collections.abc import Mapping

from lance_autoresearch.records import Fault, FaultKind
from lance_autoresearch.targets.spec import Out, Target
from lance_autoresearch.text.plain_text import mark_untrusted, strip_text

FLOATS = {"f32": "<f", "f64": "<d"}
ADVICE: Mapping[FaultKind, str] = {
    FaultKind.POISON: "write every element of the output; it holds random bytes before each call",
    FaultKind.SLACK: "write only inside the slice the contract hands over",
    FaultKind.LATE_WRITE: "finish every write before returning; nothing may run on after a call",
    FaultKind.PANIC: "a panic is a wrong answer; handle this input",
    FaultKind.SIGNAL: "look at indices, lengths and alignment in unsafe code",
    FaultKind.TIMEOUT: "look for a loop that may not end on this input",
    FaultKind.SANDBOX: "a kernel may only compute: no system calls, threads, files or clocks",
    FaultKind.MEMORY: "use less memory; what Lance's own code needs is always granted",
    FaultKind.ARM: "do all work inside the call; between calls a kernel does nothing",
    FaultKind.STACK: "stack overflow: kernels have 2 MiB as on Lance's threads",
    FaultKind.PROCESSOR_STATE: "restore before you return what the caller relies on",
}
DEEDS: Mapping[FaultKind, str] = {
    FaultKind.MISMATCH: "disagrees with Lance",
    FaultKind.POISON: "left output unwritten",
    FaultKind.SLACK: "wrote outside its output",
    FaultKind.LATE_WRITE: "changed its output after it had returned",
    FaultKind.PANIC: "panicked",
    FaultKind.TIMEOUT: "did not return in time",
    FaultKind.MEMORY: "asked for more memory than it may have",
    FaultKind.ARM: "was busy before its call began",
    FaultKind.STACK: "overflowed its stack",
    FaultKind.PROCESSOR_STATE: "left the processor's state changed for its caller",
}


def count_ulps(got: bytes, want: bytes) -> int | None:
    """Steps between two floats of 4 or 8 bytes; None if one is NaN; -0 and +0 are 0 apart."""
    if len(got) != len(want) or len(got) not in (4, 8):
        return None
    code = "<f" if len(got) == 4 else "<d"
    if any(math.isnan(struct.unpack(code, side)[0]) for side in (got, want)):
        return None
    return abs(_rank_float(got) - _rank_float(want))


def show_element(element: bytes, dtype: str) -> str:
    """One element as people read it: `4.125`, `NaN(0x7fc00001)`, `771`, `0x1f`."""
    if dtype in FLOATS and len(element) == struct.calcsize(FLOATS[dtype]):
        value = struct.unpack(FLOATS[dtype], element)[0]
        if math.isnan(value):
            return f"NaN(0x{int.from_bytes(element, 'little'):0{2 * len(element)}x})"
        return f"{value:.9g}" if dtype == "f32" else f"{value:.17g}"
    if dtype == "u8" or len(element) not in (1, 2, 4, 8):
        return f"0x{element[:16].hex()}"
    return str(int.from_bytes(element, "little", signed=dtype.startswith("i")))


def describe_fault(
    target: Target,
    fault: Fault,
    *,
    public: bool = False,
    case: int | None = None,
) -> str:
    """The fault as one bounded line.

    Args:
        public: the case's seed is public, so values and the kernel's words may be shown.
        case: number for `lar diff KERNEL --case N`.
    """
    out = _find_output(target, fault)
    parts = [f"{target.name}: {_describe_kind(fault)}{_describe_place(target, fault, out)}"]
    if fault.kind is FaultKind.MISMATCH and fault.total:
        parts[0] += f": {_describe_values(fault, out, public)}"
    parts[0] += "."
    if fault.total and fault.kind in (FaultKind.MISMATCH, FaultKind.POISON):
        parts.append(f"{fault.differs:,} of {fault.total:,} values differ.")
    if words := _quote_note(fault, public):
        parts.append(words)
    if fault.kind in ADVICE and fault.side == "candidate":
        advice = ADVICE[fault.kind]
        parts.append(f"{advice[0].upper()}{advice[1:]}.")
    if fault.side != "candidate":
        parts.append("This is no fault of the candidate.")
    if case is not None:
        parts.append(f"Only this case: --case {case}")
    return " ".join(parts)


def _rank_float(element: bytes) -> int:
    """Position of a float among all floats: sign and magnitude to a plain integer."""
    bits = int.from_bytes(element, "little")
    top = 1 << (8 * len(element) - 1)
    return -(bits - top) if bits & top else bits


def _find_output(target: Target, fault: Fault) -> Out | None:
    op, _ = _split_combo(target, fault)
    outputs = next((o.outputs for o in target.ops if o.name == op), ())
    return outputs[fault.part] if fault.part < len(outputs) else None


def _split_combo(target: Target, fault: Fault) -> tuple[str, str]:
    """`hamming 1024 random` -> (`hamming`, `1024 random`); an unknown op stays in it."""
    head, _, rest = fault.combo.partition(" ")
    return (head, rest) if head in {o.name for o in target.ops} else ("", fault.combo)


def _describe_kind(fault: Fault) -> str:
    who = "kernels.rs" if fault.side == "candidate" else "the champion"
    if fault.kind is FaultKind.SIGNAL:
        return f"{who} died of {_name_signal(fault.signal)}"
    if fault.kind is FaultKind.SANDBOX:
        call = f" by system call {strip_text(fault.syscall, 40)}" if fault.syscall else ""
        return f"{who} reached out of its sandbox{call}"
    return f"{who} {DEEDS[fault.kind]}"


def _describe_place(target: Target, fault: Fault, out: Out | None) -> str:
    op, at = _split_combo(target, fault)
    words = f" at {at}" if at else ""
    words += f", op {op}" if op else ""
    words += f", tier {fault.tier}" if fault.tier != "native" else ""
    if fault.kind in (FaultKind.MISMATCH, FaultKind.POISON) and fault.total:
        several = op and len(next(o.outputs for o in target.ops if o.name == op)) > 1
        words += f", output {fault.part}" if several else ""
        words += f", value {fault.offset // out.elem}" if out else f", byte {fault.offset}"
    elif fault.kind in (FaultKind.SLACK, FaultKind.LATE_WRITE) and fault.offset:
        words += f", byte {fault.offset}"
    return words


def _describe_values(fault: Fault, out: Out | None, public: bool) -> str:
    must = _describe_rule(out)
    if not public:
        return f"{must}; values of secret inputs are not shown"
    dtype, elem = (out.dtype, out.elem) if out else ("bytes", max(1, len(fault.got)))
    got, want = fault.got[:elem], fault.want[:elem]
    if len(got) < elem or len(want) < elem:
        return f"one side ends there ({must})"
    apart = count_ulps(got, want) if dtype in FLOATS else None
    distance = f", {apart:,} ulp apart" if apart else ""
    return f"{show_element(got, dtype)} vs {show_element(want, dtype)} ({must}{distance})"


def _describe_rule(out: Out | None) -> str:
    rule = out.rule if out else "bytes"
    if rule.startswith("ulp32:"):
        return f"must be within {rule.partition(':')[2]} ulp"
    return {
        "bits32": "must be bit-equal",
        "bits64": "must be bit-equal",
        "tieband": "must be equal but for rows tied at the last distance",
    }.get(rule, "must be equal")


def _quote_note(fault: Fault, public: bool) -> str:
    """The conductor's note plainly; a kernel's marked, or only the line it names."""
    if not fault.note:
        return ""
    if not fault.kind.note_is_kernels:
        return f"({strip_text(fault.note, 200)})"
    if public:
        return mark_untrusted(fault.note)
    return f"It names {fault.named_place}." if fault.named_place else ""


def _name_signal(number: int | None) -> str:
    try:
        return f"signal {number} ({signal.Signals(number or 0).name})"
    except ValueError:
        return f"signal {number}"
