"""Random and mutated input: no crash, no hang, nothing damaged accepted. Longer: tools/fuzz.py."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import fuzz  # noqa: E402
import fuzz_subjects  # noqa: E402

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


CASES = [p for p in sorted(fuzz_subjects.CASES.glob("*/*")) if p.is_file()]
FOUND = [p for p in CASES if p.parent.name in fuzz_subjects.SUBJECTS]


@pytest.mark.parametrize("case", FOUND, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_what_a_fuzzer_once_found_is_mended(case: Path) -> None:
    fuzz_subjects.SUBJECTS[case.parent.name](case.read_bytes())


@pytest.mark.parametrize("name", fuzz_subjects.SUBJECTS)
def test_sound_and_slightly_damaged_input_is_read_or_refused(name: str) -> None:
    """A subject that refuses sound input would fuzz nothing."""
    rng = random.Random(7)
    for seed in fuzz_subjects.seeds(name)[:8]:
        fuzz_subjects.SUBJECTS[name](seed)
        for _ in range(4):
            fuzz_subjects.SUBJECTS[name](fuzz._mutated(seed[:2000], rng))
