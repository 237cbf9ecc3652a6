"""Which kind of processor this is: a microarchitecture, and what a hypervisor hides of it.

    processor = read_processor()      # what /proc/cpuinfo says
    processor.kind                    # zen3, sapphirerapids, neoverse-v2, zen4-avx2, amd-27-144

A gain on one kind may be a loss on another, so every figure is stored with its kind. The brand
name does not tell kinds apart: a cloud's "AMD EPYC" is Zen 3 on one host and Zen 4 on the next.

The numbers are those of Linux, which publishes them in
    arch/x86/kernel/cpu/amd.c             families and models of Zen ("Figure out Zen generations")
    arch/x86/include/asm/intel-family.h   models of Intel's family 6
    arch/arm64/include/asm/cputype.h      implementers and parts of AArch64
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

LEVELS = ("v2", "avx2", "avx512", "avx512vbmi")
"""Feature levels of x86-64, from narrow to wide. `v2` has no AVX2 and cannot run kernels."""
UNKNOWN = "unknown"

ZEN: tuple[tuple[int, range, str], ...] = (
    (0x17, range(0x30), "zen1"),
    (0x17, range(0x30, 0x50), "zen2"),
    (0x17, range(0x50, 0x60), "zen1"),
    (0x17, range(0x60, 0x80), "zen2"),
    (0x17, range(0x90, 0x92), "zen2"),
    (0x17, range(0xA0, 0xB0), "zen2"),
    (0x19, range(0x10), "zen3"),
    (0x19, range(0x10, 0x20), "zen4"),
    (0x19, range(0x20, 0x60), "zen3"),
    (0x19, range(0x60, 0xB0), "zen4"),
    (0x1A, range(0x30), "zen5"),
    (0x1A, range(0x40, 0x50), "zen5"),
    (0x1A, range(0x60, 0x80), "zen5"),
)
"""AMD: family, models, kind."""

INTEL: dict[str, tuple[int, ...]] = {
    "haswell": (0x3C, 0x3F, 0x45, 0x46),
    "broadwell": (0x3D, 0x47, 0x4F, 0x56),
    "skylake": (0x4E, 0x5E, 0x8E, 0x9E, 0xA5, 0xA6),
    "skylakex": (0x55,),
    "cannonlake": (0x66,),
    "icelake": (0x7D, 0x7E),
    "icelake-server": (0x6A, 0x6C),
    "tigerlake": (0x8C, 0x8D),
    "rocketlake": (0xA7,),
    "sapphirerapids": (0x8F,),
    "emeraldrapids": (0xCF,),
    "graniterapids": (0xAD, 0xAE),
    "sierraforest": (0xAF,),
    "alderlake": (0x97, 0x9A),
    "raptorlake": (0xB7, 0xBA, 0xBF),
    "gracemont": (0xBE,),
    "meteorlake": (0xAA, 0xAC),
    "arrowlake": (0xB5, 0xC5, 0xC6),
    "lunarlake": (0xBD,),
}
"""Intel, family 6: models of each kind. Kaby, Coffee and Comet Lake are Skylake's core."""

ARM: dict[tuple[int, int], str] = {
    (0x41, 0xD03): "cortex-a53",
    (0x41, 0xD05): "cortex-a55",
    (0x41, 0xD07): "cortex-a57",
    (0x41, 0xD08): "cortex-a72",
    (0x41, 0xD0B): "cortex-a76",
    (0x41, 0xD0C): "neoverse-n1",
    (0x41, 0xD40): "neoverse-v1",
    (0x41, 0xD41): "cortex-a78",
    (0x41, 0xD49): "neoverse-n2",
    (0x41, 0xD4F): "neoverse-v2",
    (0x41, 0xD83): "neoverse-v3ae",
    (0x41, 0xD84): "neoverse-v3",
    (0x41, 0xD8E): "neoverse-n3",
    (0x51, 0x001): "oryon",
    (0x61, 0x022): "apple-m1-icestorm",
    (0x61, 0x023): "apple-m1",
    (0x61, 0x025): "apple-m1",
    (0x61, 0x029): "apple-m1",
    (0x61, 0x033): "apple-m2",
    (0x61, 0x035): "apple-m2",
    (0x61, 0x039): "apple-m2",
    (0xC0, 0xAC3): "ampere1",
    (0xC0, 0xAC4): "ampere1a",
}
"""AArch64: implementer, part. Apple's efficiency cores have numbers of their own."""

WIDE: dict[str, str] = {
    "skylakex": "avx512",
    **dict.fromkeys(
        ("zen4", "zen5", "cannonlake", "icelake", "icelake-server", "tigerlake", "rocketlake",
         "sapphirerapids", "emeraldrapids", "graniterapids"),
        "avx512vbmi",
    ),
}  # fmt: skip
"""Level of the kinds in `ZEN` and `INTEL` that have more than AVX2."""

VENDORS = {"AuthenticAMD": "amd", "GenuineIntel": "intel", "HygonGenuine": "hygon",
           "CentaurHauls": "centaur", "  Shanghai  ": "zhaoxin"}  # fmt: skip

DIGESTS = {"83e39cb2": "zen4", "be222600": "zen3"}
"""Kinds of the machines that were stored as `x86_64-amd-epyc-DIGEST`, before kinds had names."""

BRANDS: tuple[tuple[str, str], ...] = (
    (r"EPYC 7\w\w1\b", "zen1"),
    (r"EPYC 7\w\w2\b", "zen2"),
    (r"EPYC 7\w\w3\b", "zen3"),
    (r"EPYC 9\w\w4\b", "zen4"),
    (r"EPYC 9\w\w5\b", "zen5"),
    (r"Xeon\S* (?:Platinum|Gold|Silver|Bronze) [3-8][12]\d\d", "skylakex"),
    (r"Xeon\S* (?:Platinum|Gold|Silver|Bronze) [3-8]3\d\d", "icelake-server"),
    (r"Xeon\S* (?:Platinum|Gold|Silver|Bronze) [3-8]4\d\d", "sapphirerapids"),
    (r"Xeon\S* (?:Platinum|Gold|Silver|Bronze) [3-8]5\d\d", "emeraldrapids"),
)
"""Brand names that do tell a kind, for rows stored without one."""


@dataclass(frozen=True, slots=True)
class Processor:
    """One core as the system describes it."""

    brand: str
    """For people; empty on most AArch64 systems."""
    vendor: str = ""
    """x86-64: `AuthenticAMD`, `GenuineIntel`."""
    family: int = -1
    model: int = -1
    implementer: int = -1
    """AArch64: who designed the core."""
    part: int = -1
    flags: frozenset[str] = frozenset()
    """CPU features by Linux's names."""

    @property
    def kind(self) -> str:
        """Short name, with the visible level if a hypervisor hides a part of the core."""
        name = self.microarchitecture
        if name is None:
            return self.numbers
        full = WIDE.get(name, "avx2")
        hidden = self.vendor and LEVELS.index(self.level) < LEVELS.index(full)
        return f"{name}-{self.level}" if hidden else name

    @property
    def microarchitecture(self) -> str | None:
        """The table's name for this core; None if it has none."""
        if self.implementer >= 0:
            return ARM.get((self.implementer, self.part))
        if self.vendor == "AuthenticAMD":
            found = (name for family, models, name in ZEN
                     if family == self.family and self.model in models)
            return next(found, None)
        if self.vendor == "GenuineIntel" and self.family == 6:
            return next((name for name, models in INTEL.items() if self.model in models), None)
        return None

    @property
    def numbers(self) -> str:
        """`amd-27-144`, `arm-41-d8f`; `unknown` if the system says nothing."""
        if self.implementer >= 0:
            return f"arm-{self.implementer:x}-{max(self.part, 0):x}"
        if not self.vendor:
            return UNKNOWN
        vendor = VENDORS.get(self.vendor) or re.sub(r"[^a-z0-9]+", "", self.vendor.lower())
        return f"{vendor}-{self.family}-{self.model}"

    @property
    def level(self) -> str:
        """Widest of `LEVELS` whose features are all visible."""
        if not {"avx2", "fma", "bmi1", "bmi2", "f16c"} <= self.flags:
            return "v2"
        if not {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= self.flags:
            return "avx2"
        return "avx512vbmi" if self.flags & {"avx512vbmi", "avx512_vbmi"} else "avx512"


def read_processor(root: Path = Path("/"), core: int | None = None) -> Processor:
    """The processor as `proc/cpuinfo` below `root` describes it; empty if there is none.

    Args:
        core: its number, if cores differ (an efficiency core beside a fast one); by default
            the first.
    """
    text = ""
    with contextlib.suppress(OSError):
        text = (root / "proc" / "cpuinfo").read_text(encoding="utf-8", errors="replace")
    blocks = list(_split_blocks(text))
    mine = [b for b in blocks if core is not None and b.get("processor") == str(core)]
    return _parse_processor((mine or blocks or [{}])[0])


def _split_blocks(text: str) -> Iterator[dict[str, str]]:
    """The fields of each core that has any."""
    for block in text.split("\n\n"):
        pairs = (line.partition(":") for line in block.splitlines())
        fields = {name.strip(): value.strip() for name, colon, value in pairs if colon}
        if "flags" in fields or "CPU part" in fields:
            yield fields


def _parse_processor(fields: Mapping[str, str]) -> Processor:
    return Processor(
        brand=fields.get("model name", ""),
        vendor=fields.get("vendor_id", ""),
        family=_parse_number(fields.get("cpu family")),
        model=_parse_number(fields.get("model")),
        implementer=_parse_number(fields.get("CPU implementer")),
        part=_parse_number(fields.get("CPU part")),
        flags=frozenset(fields.get("flags", fields.get("Features", "")).split()),
    )


def _parse_number(text: str | None) -> int:
    """Decimal or `0x` hexadecimal; -1 if it is neither."""
    try:
        return -1 if text is None else int(text, 0)
    except ValueError:
        return -1


def read_stored_kind(machine: Mapping[str, str]) -> str:
    """The CPU kind in a stored description of a machine (`machine.describe_machine()`), or
    `unknown`.

    Descriptions from before kinds had names are read by the digest in their `kind`, which is
    over vendor, family, model and features, and by brand names that stand for one kind.
    """
    if named := machine.get("cpu_kind"):
        return named
    if known := DIGESTS.get(machine.get("kind", "").rpartition("-")[2]):
        return known
    brand = machine.get("cpu", "")
    return next((kind for pattern, kind in BRANDS if re.search(pattern, brand)), UNKNOWN)
