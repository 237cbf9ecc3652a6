"""CPU kinds: what recorded /proc/cpuinfo texts, old rows of a ledger and this machine are named."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from cpu_texts import AMD, AVX2, RECORDED, VBMI, arm, below, x86

from lance_autoresearch.host import cpu_kinds, machine


@pytest.mark.parametrize("kind", RECORDED)
def test_a_recorded_cpuinfo_has_its_kind(kind: str, tmp_path: Path) -> None:
    root = below(tmp_path, RECORDED[kind])
    assert cpu_kinds.read_processor(root).kind == kind
    assert machine.describe_machine(root)["cpu_kind"] == kind


def test_no_cpuinfo_is_unknown(tmp_path: Path) -> None:
    assert cpu_kinds.read_processor(tmp_path).kind == "unknown"


def test_the_measuring_core_names_the_kind_where_cores_differ(tmp_path: Path) -> None:
    root = below(tmp_path, arm((0x61, 0x022), (0x61, 0x023)))
    assert cpu_kinds.read_processor(root, core=0).kind == "apple-m1-icestorm"
    assert cpu_kinds.read_processor(root, core=1).kind == "apple-m1"


def test_no_model_has_two_kinds() -> None:
    models = [model for known in cpu_kinds.INTEL.values() for model in known]
    assert len(models) == len(set(models))
    pairs = [(family, model) for family, known, _ in cpu_kinds.ZEN for model in known]
    assert len(pairs) == len(set(pairs))
    kinds = {*cpu_kinds.INTEL, *(name for *_, name in cpu_kinds.ZEN)}
    assert kinds >= cpu_kinds.WIDE.keys()


@pytest.mark.skipif(platform.system() != "Linux", reason="reads the machine's own /proc/cpuinfo")
def test_this_machine_has_a_kind_that_its_cpuinfo_proves() -> None:
    kind, text = machine.describe_machine()["cpu_kind"], Path("/proc/cpuinfo").read_text()
    assert kind != "unknown"
    if "cpu family\t: 25\nmodel\t\t: 1\n" in text and " avx2 " in text:
        assert kind == "zen3"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="digests hold the architecture")
@pytest.mark.parametrize(
    ("digest", "model", "flags"),
    [("83e39cb2", 17, f"{VBMI} avx512_bf16"), ("be222600", 1, AVX2)],
)
def test_old_rows_are_known_by_their_digest(
    digest: str, model: int, flags: str, tmp_path: Path
) -> None:
    """The digest of an old row is over family, model and features: it can be made again."""
    stored = machine.describe_machine(below(tmp_path, x86(AMD, 25, model, flags, "AMD EPYC")))
    assert stored["kind"] == f"x86_64-amd-epyc-{digest}"
    old = {name: value for name, value in stored.items() if name != "cpu_kind"}
    assert cpu_kinds.read_stored_kind(old) == stored["cpu_kind"]


@pytest.mark.parametrize(
    ("stored", "kind"),
    [
        ({"cpu_kind": "neoverse-n1", "cpu": "AMD EPYC 7742"}, "neoverse-n1"),
        ({"cpu": "AMD EPYC 7B13 64-Core Processor"}, "zen3"),
        ({"cpu": "AMD EPYC 9R14"}, "zen4"),
        ({"cpu": "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz"}, "sapphirerapids"),
        ({"cpu": "Intel(R) Xeon(R) Platinum 8272CL"}, "skylakex"),
        ({"cpu": "AMD EPYC", "kind": "x86_64-amd-epyc-01234567"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_a_stored_machine_has_a_kind_or_is_unknown(stored: dict[str, str], kind: str) -> None:
    assert cpu_kinds.read_stored_kind(stored) == kind


def test_a_session_of_noise_holds_for_one_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = machine.read_boot_id()
    assert mine == machine.read_boot_id() and mine.endswith(
        f" {machine.describe_machine()['cpu_kind']}"
    )
    other = {**machine.describe_machine(), "cpu_kind": "another"}
    monkeypatch.setattr(machine, "describe_machine", lambda: other)
    assert machine.read_boot_id() != mine
