"""Short /proc/cpuinfo texts of several CPU kinds, as Linux prints them."""

from __future__ import annotations

from pathlib import Path

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
