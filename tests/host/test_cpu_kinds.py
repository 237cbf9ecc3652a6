"""CPU kinds: what recorded /proc/cpuinfo texts, old rows of a ledger and this machine are named."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from lance_autoresearch.host import cpu_kinds, machine

AVX2 = "fpu sse4_2 avx f16c fma bmi1 avx2 bmi2 vaes vpclmulqdq"
SKX = f"{AVX2} avx512f avx512dq avx512cd avx512bw avx512vl"
VBMI = f"{SKX} avx512ifma avx512vbmi avx512_vbmi2 gfni avx512_vnni avx512_bitalg avx512_vpopcntdq"


def x86(vendor: str, family: int, model: int, flags: str, brand: str = "a processor") -> str:
    """Two cores as Linux prints them."""
    lines = (f"vendor_id\t: {vendor}", f"cpu family\t: {family}", f"model\t\t: {model}",
             f"model name\t: {brand}", f"flags\t\t: {flags}", "")
    return "\n".join(f"processor\t: {core}\n" + "\n".join(lines) for core in (0, 1))


def arm(*parts: tuple[int, int]) -> str:
    """A core a part, as Linux prints them on AArch64."""
    return "\n".join(
        f"processor\t: {core}\nFeatures\t: fp asimd asimddp\nCPU implementer\t: {implementer:#x}\n"
        f"CPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: {part:#05x}\n"
        for core, (implementer, part) in enumerate(parts)
    )


AMD, INTEL = "AuthenticAMD", "GenuineIntel"
RECORDED = {
    "zen1": x86(AMD, 23, 1, AVX2),
    "zen2": x86(AMD, 23, 49, AVX2),
    "zen3": x86(AMD, 25, 1, AVX2, "AMD EPYC"),
    "zen4": x86(AMD, 25, 17, VBMI, "AMD EPYC"),
    "zen4-avx2": x86(AMD, 25, 17, AVX2, "AMD EPYC"),
    "zen5": x86(AMD, 26, 2, VBMI),
    "haswell": x86(INTEL, 6, 63, AVX2),
    "broadwell": x86(INTEL, 6, 79, AVX2),
    "haswell-v2": x86(INTEL, 6, 63, "fpu sse4_2"),
    "skylake": x86(INTEL, 6, 94, AVX2),
    "skylakex": x86(INTEL, 6, 85, SKX),
    "icelake-server": x86(INTEL, 6, 106, VBMI),
    "sapphirerapids": x86(INTEL, 6, 143, VBMI),
    "sapphirerapids-avx512": x86(INTEL, 6, 143, SKX),
    "sapphirerapids-avx2": x86(INTEL, 6, 143, AVX2),
    "emeraldrapids": x86(INTEL, 6, 207, VBMI),
    "graniterapids": x86(INTEL, 6, 173, VBMI),
    "alderlake": x86(INTEL, 6, 151, AVX2),
    "amd-27-144": x86(AMD, 27, 144, VBMI),
    "intel-6-254": x86(INTEL, 6, 254, AVX2),
    "newvendor-7-1": x86("New-Vendor", 7, 1, AVX2),
    "neoverse-n1": arm((0x41, 0xD0C)),
    "neoverse-n2": arm((0x41, 0xD49)),
    "neoverse-v1": arm((0x41, 0xD40)),
    "neoverse-v2": arm((0x41, 0xD4F)),
    "apple-m1": arm((0x61, 0x023)),
    "arm-41-fff": arm((0x41, 0xFFF)),
    "unknown": "",
}


def below(root: Path, text: str) -> Path:
    """A directory whose proc/cpuinfo is `text`."""
    (root / "proc").mkdir()
    (root / "proc" / "cpuinfo").write_text(text)
    return root


@pytest.mark.parametrize("kind", RECORDED)
def test_a_recorded_cpuinfo_has_its_kind(kind: str, tmp_path: Path) -> None:
    root = below(tmp_path, RECORDED[kind])
    assert cpu_kinds.read_processor(root).kind == kind
    assert machine.machine(root)["cpu_kind"] == kind


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
    kind, text = machine.machine()["cpu_kind"], Path("/proc/cpuinfo").read_text()
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
    stored = machine.machine(below(tmp_path, x86(AMD, 25, model, flags, "AMD EPYC")))
    assert stored["kind"] == f"x86_64-amd-epyc-{digest}"
    old = {name: value for name, value in stored.items() if name != "cpu_kind"}
    assert cpu_kinds.stored_kind(old) == stored["cpu_kind"]


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
    assert cpu_kinds.stored_kind(stored) == kind


def test_a_session_of_noise_holds_for_one_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = machine.boot_id()
    assert mine == machine.boot_id() and mine.endswith(f" {machine.machine()['cpu_kind']}")
    other = {**machine.machine(), "cpu_kind": "another"}
    monkeypatch.setattr(machine, "machine", lambda: other)
    assert machine.boot_id() != mine
