"""Admission takes time linear in the text: a mebibyte of anything, within half a second."""

from __future__ import annotations

import contextlib
import resource

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiers import fast_for

from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.judge.admission import admit

HOSTILE_PIECES = (
    " env", " static A:B=", " static A:(B", "std::{", "(", ")", "{", "[", '"', "'", 'r####"',
    "r####", "r#", "/*", "*/", "/* */", "//\n", "#", "##", "#![", "#[", "$x!", "$ ", "use a as b;",
    "use ", "struct A(Cell);", "struct A{b:B}", "struct A ", "type A=B;", "a::", "::std::",
    "asm ", "assert!(", "m!{", "macro_rules! m {", "'a ", "b'", 'c"', "0x", "1e", "\\", "\n",
    "\r\n", "\t", 'enable="avx512f,"', "Avx", "\u0301", "\u212a", "a\u0301\u0316", "#!", "---\n",
    "\n---", "!", "=",
    " as ", ",", ";", "fn f(){}", "mod a{", "}", "<", "union A{", "-", "&", "static mut ",
)  # fmt: skip
MIB = 1 << 20


def measure_admission(text: bytes) -> float:
    """Seconds of CPU until the verdict, the trusted program's included."""
    admit(b"fn f() {}")  # built, and its file read
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    begun = sum(u.ru_utime + u.ru_stime for u in usage)
    with contextlib.suppress(RejectedKernel):
        admit(text)
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage) - begun


IN_TIERS = fast_for(HOSTILE_PIECES, *HOSTILE_PIECES[::3])


@pytest.mark.parametrize("piece", IN_TIERS)
def test_a_mebibyte_of_one_hostile_piece_takes_less_than_half_a_second(piece: str) -> None:
    many = (piece * (MIB // len(piece.encode()))).encode()
    assert measure_admission(many + b" " * (MIB - len(many))) < 0.5
    inside = b"macro_rules! m { () => { " + many
    assert measure_admission(inside[: MIB - 4] + b" } }") < 0.5


@given(st.lists(st.sampled_from(HOSTILE_PIECES) | st.text(max_size=3), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_a_mebibyte_of_any_text_takes_less_than_half_a_second(pieces: list[str]) -> None:
    period = "".join(pieces).encode("utf-8", "replace") or b" "
    assert measure_admission((period * (MIB // len(period) + 1))[:MIB]) < 0.5
