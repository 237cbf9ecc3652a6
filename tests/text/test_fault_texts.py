"""Every fault in the words that people read, and the rules those words repeat.

Most of these were written because a mutant survived (tools/mutation.py).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest

from lance_autoresearch.records import Fault
from lance_autoresearch.targets.spec import Call, Combo, Op, Out, Target
from lance_autoresearch.text import fault_text


def no_inputs(*_: object) -> Iterator[Call]:
    yield from ()


TARGET = Target(
    name="toy", summary="", call_site="", cost="",
    ops=(Op("scan", (Out("f32", rule="bits32"),)),
         Op("two", (Out("f64", rule="bits64"), Out("u16"))),
         Op("near", (Out("f32", rule="ulp32:2"),))),
    timed=(Combo("scan", {"m": 8}, "x"),), checks=(), inputs=no_inputs,
)  # fmt: skip


def said(fault: Fault, tier: str = "native", *, public: bool = True) -> str:
    return fault_text.fault_text(TARGET, fault, tier, public=public)


F4 = struct.Struct("<f").pack
F8 = struct.Struct("<d").pack
AGAIN = {
    "poison": "Write every element of the output; it holds random bytes before each call.",
    "slack": "Write only inside the slice the contract hands over.",
    "late_write": "Finish every write before returning; nothing may run on after a call.",
    "panic": "A panic is a wrong answer; handle this input.",
    "timeout": "Look for a loop that may not end on this input.",
    "memory": "Use less memory; what lance's own code needs is always granted.",
    "arm": "Do all work inside the call; between calls a kernel does nothing.",
    "sandbox": "A kernel may only compute: no system calls, threads, files or clocks.",
    "signal": "Look at indices, lengths and alignment in unsafe code.",
}


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault("poison", "scan 8 x", offset=8, differs=3, total=9),
         "left output unwritten at 8 x, op scan, value 2. 3 of 9 values differ."),
        (Fault("slack", "scan 8 x", offset=12), "wrote outside its output at 8 x, op scan, "
         "byte 12."),
        (Fault("slack", "scan 8 x"), "wrote outside its output at 8 x, op scan."),
        (Fault("late_write", "scan 8 x", offset=7),
         "changed its output after it had returned at 8 x, op scan, byte 7."),
        (Fault("panic", "scan 8 x", offset=3), "panicked at 8 x, op scan."),
        (Fault("timeout", "scan 8 x", offset=3), "did not return in time at 8 x, op scan."),
        (Fault("memory", "scan 8 x"), "asked for more memory than it may have at 8 x, op scan."),
        (Fault("arm", "scan 8 x"), "was busy before its call began at 8 x, op scan."),
        (Fault("sandbox", "scan 8 x"), "reached out of its box at 8 x, op scan."),
        (Fault("sandbox", "scan 8 x", syscall="brk"),
         "reached out of its box by system call brk at 8 x, op scan."),
        (Fault("sandbox", "", syscall="y" * 99),
         f"reached out of its box by system call {'y' * 39}…."),
        (Fault("signal", "scan 8 x", signal=11), "died of signal 11 (SIGSEGV) at 8 x, op scan."),
        (Fault("signal", signal=999), "died of signal 999."),
        (Fault("signal"), "died of signal None."),
        (Fault("z" * 60, "odd 8 x"), f"failed ({'z' * 39}…) at odd 8 x."),
    ],
    ids=lambda v: v.kind[:9] if isinstance(v, Fault) else "",
)  # fmt: skip
def test_every_fault_is_worded_so(fault: Fault, text: str) -> None:
    advice = AGAIN.get(fault.kind, "")
    assert said(fault) == " ".join(["toy: kernels.rs", *text.split(" "), *advice.split()])


@pytest.mark.parametrize(
    ("combo", "part", "got", "want", "text"),
    [
        ("scan 8 x", 0, F4(1.0), F4(1.5), ", op scan, value 1: 1 vs 1.5 (must be bit-equal, "
         "4,194,304 ulp apart)"),
        ("scan 8 x", 0, F4(0.1), F4(0.1), ", op scan, value 1: 0.100000001 vs 0.100000001 "
         "(must be bit-equal)"),
        ("two 8 x", 0, F8(0.1), F8(0.2), ", op two, output 0, value 0: 0.10000000000000001 vs "
         "0.20000000000000001 (must be bit-equal, 4,503,599,627,370,496 ulp apart)"),
        ("two 8 x", 1, b"\1\2", b"\1\3", ", op two, output 1, value 2: 513 vs 769 (must be equal)"),
        ("two 8 x", 2, b"\1\2", b"\1\3", ", op two, output 2, byte 4: 513 vs 769 "
         "(must be equal)"),
        ("near 8 x", 0, F4(1.0), F4(-1.0), ", op near, value 1: 1 vs -1 (must be within 2 ulp, "
         "2,130,706,432 ulp apart)"),
        ("near 8 x", 0, F4(1.0), b"", ", op near, value 1: one side ends there "
         "(must be within 2 ulp)"),
        ("odd 8 x", 0, b"", b"\7", " at odd 8 x, byte 4: one side ends there (must be equal)"),
        ("odd 8 x", 0, b"\7", b"\6", " at odd 8 x, byte 4: 7 vs 6 (must be equal)"),
        ("odd 8 x", 0, b"\7" * 20, b"\6" * 20,
         f" at odd 8 x, byte 4: 0x{'07' * 16} vs 0x{'06' * 16} (must be equal)"),
        ("odd 8 x", 0, b"\7" * 4, b"\6" * 4, " at odd 8 x, byte 4: 117901063 vs 101058054 "
         "(must be equal)"),
    ],
)  # fmt: skip
def test_every_mismatch_is_worded_so(
    combo: str, part: int, got: bytes, want: bytes, text: str
) -> None:
    fault = Fault("mismatch", combo, part=part, offset=4, differs=1, total=9, got=got, want=want)
    shown = said(fault)
    place = "" if combo.startswith("odd") else f" at {combo.partition(' ')[2]}"
    assert shown == f"toy: kernels.rs disagrees with Lance{place}{text}. 1 of 9 values differ."


def test_who_and_where_are_said() -> None:
    fault = Fault("panic", "scan 8 x", side="champion")
    assert said(fault, "avx2") == (
        "toy: the champion panicked at 8 x, op scan, tier avx2. This is no fault of the candidate."
    )
    assert said(Fault("panic", "")) == f"toy: kernels.rs panicked. {AGAIN['panic']}"
    assert said(Fault("panic", "scan")).startswith("toy: kernels.rs panicked, op scan. A panic")


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_whole_numbers_of_every_size_are_shown(size: int) -> None:
    assert fault_text.show((255).to_bytes(size, "little"), f"u{8 * size}") == (
        "0xff" if size == 1 else "255"
    )
    assert fault_text.show(b"\xff" * size, f"i{8 * size}") == "-1"


def test_floats_are_shown_with_the_digits_that_tell_them_apart() -> None:
    assert fault_text.show(F4(0.1), "f32") == "0.100000001"
    assert fault_text.show(F8(0.1), "f64") == "0.10000000000000001"


@pytest.mark.parametrize(
    ("got", "want", "apart"),
    [
        (F4(1.0), F8(1.0), None), (b"\1" * 3, b"\2" * 3, None), (b"\1" * 9, b"\2" * 9, None),
        (F8(1.0), F8(1.0 + 2**-52), 1), (F8(-5e-324), F8(5e-324), 2), (F4(-0.0), F4(0.0), 0),
        (F8(float("nan")), F8(1.0), None), (F4(-2.0), F4(-1.0), 8388608),
        (F4(-1.0), F4(1.0), 2130706432),
    ],
)  # fmt: skip
def test_steps_between_floats(got: bytes, want: bytes, apart: int | None) -> None:
    assert fault_text.ulp_distance(got, want) == apart


def test_the_rule_for_doubles_and_for_ties() -> None:
    nans = (struct.pack("<Q", 0x7FF8 << 48), struct.pack("<Q", 0xFFF8 << 48 | 1))
    assert fault_text.differences("bits64", *nans, 8) == []
    assert fault_text.differences("bytes", *nans, 8) == [0]
    row = struct.Struct("<Q").pack
    assert fault_text.differences("tieband", row(0), row(1), 8, (0, 1)) == []
    assert fault_text.differences("tieband", row(0) + row(0), row(0) + row(1), 8, (0, 1)) == [1]
    assert fault_text.differences("ulp32:10", F4(1.0), F4(1.0 + 9 * 2**-23), 4) == []


def test_the_numbers_of_a_fault() -> None:
    fault = Fault("panic", "scan 8 x", 1, 2, 3, 4, 5, b"\6", b"\7", "kernels.rs:8:9 secret", 6, "s")
    fields = {"side": "candidate", "kind": "panic", "combo": "scan 8 x", "call": 1, "part": 2,
              "offset": 3, "differs": 4, "total": 5, "signal": 6, "syscall": "s"}  # fmt: skip
    assert fault_text.fault_numbers(fault) == {
        **fields, "note": "It names kernels.rs:8:9.", "got": None, "want": None,
    }  # fmt: skip
    assert fault_text.fault_numbers(fault, public=True) == {
        **fields, "note": 'untrusted: "kernels.rs:8:9 secret"', "got": "06", "want": "07",
    }  # fmt: skip
    assert fault_text.fault_numbers(replace(fault, note=None))["note"] is None
    assert fault_text.fault_numbers(replace(fault, note="no place"))["note"] is None
    ours = replace(fault, kind="slack", note="n" * 300)
    assert fault_text.fault_numbers(ours)["note"] == f"({'n' * 199}…)"
