"""Random and mutated input: no crash, no hang, nothing damaged accepted. Longer: tools/fuzz.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import fuzz  # noqa: E402

QUICK = settings(max_examples=300, deadline=None)
RUSTY = st.lists(
    st.sampled_from(fuzz.PIECES) | st.text(max_size=6), max_size=40
).map("".join)


@given(RUSTY)
@QUICK
def test_the_token_scan_ends_and_loses_nothing(text: str) -> None:
    fuzz.scan(text)


@given(st.binary(max_size=400))
@QUICK
def test_admission_of_any_bytes_ends_in_a_verdict(data: bytes) -> None:
    fuzz.admission(data)


@given(RUSTY)
@settings(max_examples=100, deadline=None)
def test_the_slicer_ends_in_text_or_an_error(text: str) -> None:
    fuzz.slice_(text)


@pytest.mark.skipif(sys.platform != "linux", reason="the conductor runs on Linux")
def test_the_conductor_survives_damaged_pools_and_lines(tmp_path: Path) -> None:
    figures = fuzz.conductor(tmp_path, seed=1, cases=200)
    assert figures["cases"] == 200 and figures["lost"] == 0 and figures["accepted"] == 0
