"""LAR_TIER: what it takes away, what a machine is called under it, which values are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from cpu_texts import RECORDED, below

from lance_autoresearch.errors import UsageError
from lance_autoresearch.host import machine, tier


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAR_TIER", raising=False)


@pytest.mark.parametrize(
    ("kind", "asked", "seen"),
    [
        ("zen4", "", "zen4"),
        ("zen4", "avx2", "zen4@avx2"),
        ("zen4", "scalar", "zen4@scalar"),
        ("zen4-avx2", "avx2", "zen4-avx2"),
        ("zen4-avx2", "scalar", "zen4-avx2@scalar"),
        ("zen3", "avx2", "zen3"),
        ("zen3", "scalar", "zen3@scalar"),
        ("neoverse-n1", "avx2", "neoverse-n1"),
        ("neoverse-n1", "scalar", "neoverse-n1@scalar"),
    ],
)
def test_a_kind_says_what_was_taken_from_it(
    kind: str, asked: str, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = below(tmp_path, RECORDED[kind])
    whole = machine.describe_machine(root)
    monkeypatch.setenv("LAR_TIER", asked)
    here = machine.describe_machine(root)
    assert here["cpu_kind"] == seen
    # What answers from memory differs exactly where the kind does.
    assert (here["kind"] == whole["kind"]) == (here["cpu_kind"] == whole["cpu_kind"])


def test_a_session_of_noise_is_not_shared_between_tiers(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = machine.read_boot_id()
    monkeypatch.setenv("LAR_TIER", "scalar")
    assert machine.read_boot_id() == f"{whole}@scalar"


@pytest.mark.parametrize("value", ["AVX2", "native", "avx512", "0"])
def test_another_value_is_refused_with_those_allowed(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAR_TIER", value)
    with pytest.raises(UsageError, match=f"LAR_TIER is '{value}'") as caught:
        machine.describe_machine()
    assert list(caught.value.allowed or ())[:2] == ["avx2", "scalar"]


def test_a_tier_can_be_requested_and_dropped() -> None:
    tier.request_tier("scalar")
    assert tier.read_requested_tier() == "scalar"
    tier.request_tier(None)
    assert tier.read_requested_tier() is None
