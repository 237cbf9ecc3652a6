"""What models of a processor say about one loop: cycles a turn, and what limits it. No measurement.

    for result in ask_models(loop, isa, "zen3"):
        result.tool, result.cycles, result.limit

Two programs are asked if they are on PATH: `llvm-mca` (the newest that is installed) and `osaca`.
They may disagree by a factor of two, so a figure of theirs explains and never decides.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lance_autoresearch.explain.isa import Isa
from lance_autoresearch.explain.loops import LoopFacts

LLVM_MCA = ("llvm-mca-22", "llvm-mca-21", "llvm-mca-20", "llvm-mca-19", "llvm-mca")
TURNS = 100
PATIENCE_S = 20.0
"""Seconds after which a model is given up."""

LLVM_NAMES = {
    "zen1": "znver1", "zen2": "znver2", "zen3": "znver3", "zen4": "znver4", "zen5": "znver5",
    "haswell": "haswell", "broadwell": "broadwell", "skylake": "skylake",
    "skylakex": "skylake-avx512", "icelake": "icelake-client", "icelake-server": "icelake-server",
    "tigerlake": "tigerlake", "sapphirerapids": "sapphirerapids", "alderlake": "alderlake",
    "neoverse-n1": "neoverse-n1", "neoverse-v1": "neoverse-v1", "neoverse-n2": "neoverse-n2",
    "neoverse-v2": "neoverse-v2",
}  # fmt: skip
"""CPU kind -> llvm-mca's name of it."""
OSACA_NAMES = {
    "zen1": "ZEN1", "zen2": "ZEN2", "zen3": "ZEN3", "zen4": "ZEN4", "haswell": "HSW",
    "broadwell": "BDW", "skylakex": "SKX", "icelake": "ICL", "icelake-server": "ICX",
    "sapphirerapids": "SPR", "neoverse-n1": "N1", "neoverse-v2": "V2",
}  # fmt: skip

_CYCLES = re.compile(r"^Total Cycles: +(\d+)$", re.M)
_PORT = re.compile(r"^  - (\w+) +\[ (\d+\.\d+)% \]$", re.M)
_PRESSURE = re.compile(r"^  (Resource Pressure|Data Dependencies:) +\[ (\d+\.\d+)% \]$", re.M)
_OSACA = re.compile(r"^Summary:\n.*?^  LCD: (?P<chain>[\d.]+)\n  PortPressure: \{(?P<ports>.*?)\}",
                    re.M | re.S)  # fmt: skip
_OSACA_PORT = re.compile(r"'?(\w+)'?:\s+([\d.]+)")
_ADDRESS = re.compile(r"(?P<size>\w+) ptr \[(?P<inside>[^]]*)\]")
_SCALED = re.compile(r"(\d+)\*(\w+)")


@dataclass(frozen=True, slots=True)
class ModelResult:
    """One model's answer about one loop."""

    tool: str
    cycles: float | None
    """Of one turn; None if the model has no answer."""
    limit: str
    """What limits the loop, or why there is no answer."""


def ask_models(loop: LoopFacts, isa: Isa, kind: str) -> Iterator[ModelResult]:
    """The answers of the models that are installed.

    Args:
        kind: CPU kind; the part behind a feature level (`zen4-avx2`) does not matter.
    """
    mca = next((name for name in LLVM_MCA if shutil.which(name)), None)
    if mca is not None:
        yield _ask_llvm_mca(mca, loop, isa, kind)
    if shutil.which("osaca"):
        yield _ask_osaca(loop, isa, kind)


def _find_name(names: dict[str, str], kind: str) -> str | None:
    return names.get(kind) or names.get(kind.rpartition("-")[0])


def _ask_llvm_mca(program: str, loop: LoopFacts, isa: Isa, kind: str) -> ModelResult:
    cpu = _find_name(LLVM_NAMES, kind)
    if cpu is None:
        return ModelResult(program, None, f"does not know {kind}")
    head = ".intel_syntax noprefix\n" if isa.name == "x86_64" else ""
    words = [program, f"-mtriple={isa.name}", f"-mcpu={cpu}", f"-iterations={TURNS}",
             "-bottleneck-analysis", "-resource-pressure=0", "-instruction-info=0"]  # fmt: skip
    done = _run(words, head + _split_labels(loop))
    cycles = _CYCLES.search(done.stdout)
    if cycles is None:
        return ModelResult(program, None, _first_line(done.stderr) or "has no answer")
    return ModelResult(program, int(cycles[1]) / TURNS, _read_limit(done.stdout))


def _read_limit(text: str) -> str:
    """The larger of pressure on ports and dependencies, as llvm-mca's analysis has it."""
    pressure = {what.rstrip(":"): float(share) for what, share in _PRESSURE.findall(text)}
    if not pressure or max(pressure.values()) == 0.0:
        return "no bottleneck but the width of the front end"
    ports, chain = pressure.get("Resource Pressure", 0.0), pressure.get("Data Dependencies", 0.0)
    if chain > ports:
        return f"a chain of dependent instructions ({chain:.0f} % of cycles)"
    named = [(float(share), port) for port, share in _PORT.findall(text)
             if "Dependencies" not in port]  # fmt: skip
    share, port = max(named, default=(ports, "ports"))
    return f"port {port} ({share:.0f} % of cycles)"


def _ask_osaca(loop: LoopFacts, isa: Isa, kind: str) -> ModelResult:
    arch = _find_name(OSACA_NAMES, kind)
    if arch is None:
        return ModelResult("osaca", None, f"does not know {kind}")
    mark = "#" if isa.name == "x86_64" else "//"
    text = _split_labels(loop)
    if isa.name == "x86_64":
        text = ".intel_syntax noprefix\n" + _ADDRESS.sub(_write_masm_address, text)
    marked = f"{mark} OSACA-BEGIN\n{text}{mark} OSACA-END\n"
    with tempfile.TemporaryDirectory() as place:
        source, answer = Path(place, "loop.s"), Path(place, "loop.yaml")
        source.write_text(marked)
        syntax = ["--syntax", "INTEL"] if isa.name == "x86_64" else []
        done = _run(["osaca", "--arch", arch, *syntax, "--ignore-unknown",
                     "--yaml-out", str(answer), str(source)])  # fmt: skip
        found = _OSACA.search(answer.read_text()) if answer.is_file() else None
    if found is None:
        return ModelResult("osaca", None, _first_line(done.stderr) or "has no answer")
    ports = {name: float(load) for name, load in _OSACA_PORT.findall(found["ports"])}
    port, load = max(ports.items(), key=lambda item: item[1])
    chain = float(found["chain"])
    limit = "a chain from turn to turn" if chain >= load else f"port {port}"
    return ModelResult("osaca", max(chain, load), limit)


def _write_masm_address(match: re.Match[str]) -> str:
    """`ymmword ptr [rdx + 8*rax]` as OSACA's reader wants it: `YMMWORD PTR [rdx+rax*8]`."""
    inside = _SCALED.sub(r"\2*\1", match["inside"]).replace(" ", "")
    return f"{match['size'].upper()} PTR [{inside}]"


def _split_labels(loop: LoopFacts) -> str:
    """The loop as a listing: labels on lines of their own."""
    lines = []
    for text in loop.body:
        label, found, rest = text.partition(": ")
        lines += [f"{label}:", rest] if found else [text]
    return "\n".join(lines) + "\n"


def _run(words: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            words, input=text, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 1, "", f"no answer within {PATIENCE_S:g} s")


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:120] if lines else ""
