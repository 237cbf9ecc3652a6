"""A kernel's machine code as rustc prints it, one function after the other.

    text = emit_assembly(root, "hamming", kernel)     cached by the kernel's bytes
    functions = parse_assembly(text)                {"kernels::hamming": (Function, ...), ...}

The flags are those of measured code; line tables are added, which do not change the code. Code that
is compiled with the contract only (inlined or generic functions of the kernel) is printed too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lance_autoresearch.build.builder import KERNEL_CRATE, run_kernel_compiler
from lance_autoresearch.build.compiler import reject_failed_step
from lance_autoresearch.build.kit import compile_kit, hash_parts, place_in_cache

SOURCE = "kernels.rs"
INTEL = ("-Cllvm-args=-x86-asm-syntax=intel",)
LINES = "-Cdebuginfo=line-tables-only"

_FUNCTION = re.compile(r"\t\.type\t(?P<symbol>[\w.$]+),[@%]function")
_LABEL = re.compile(r"(?P<label>[\w.$]+):")
_DEBUG_LABEL = re.compile(r"\.L(?:tmp|func_begin|func_end|pcrel_hi)\d+")
"""No jump goes there."""
_FILE = re.compile(r'\t\.file\t(?P<number>\d+) (?P<names>".*)')
_LINE = re.compile(r"\t\.loc\t(?P<file>\d+) (?P<line>\d+)")
_STEP = re.compile(r"\t(?P<mnemonic>[a-z][\w.]*)(?:[ \t]+(?P<operands>.*))?")
_COMMENT = re.compile(r"\s+(?:# |// ).*")
_CRATE_HASH = re.compile(r"Cs[0-9A-Za-z]*_")
_LENGTH = re.compile(r"\d+")
_ESCAPES = (("$LT$", "<"), ("$GT$", ">"), ("$RF$", "&"), ("$u20$", " "), ("$C$", ","), ("..", "::"))


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction."""

    mnemonic: str
    operands: str
    labels: tuple[str, ...] = ()
    """Labels that stand before it."""
    line: int = 0
    """Line of kernels.rs that it was made for; 0 if that is not known."""

    def __str__(self) -> str:
        return f"{self.mnemonic} {self.operands}".strip()


@dataclass(frozen=True, slots=True)
class Function:
    """One compiled function."""

    symbol: str
    name: str
    """Path without the hash, such as `kernels::wide::distances`."""
    body: tuple[Instruction, ...]


def emit_assembly(root: Path, target: str, text: bytes) -> str:
    """The assembly of a kernel and of its contract. Cached.

    Raises:
        RejectedKernel: it does not compile, or does not offer the target's surface.
        BuildFault: a trusted part does not build.
    """
    parts = compile_kit(root, target)
    syntax = INTEL if parts.tools.host.startswith("x86_64") else ()
    options = (LINES, *syntax)

    def make(build_dir: Path) -> None:
        (build_dir / SOURCE).write_bytes(text)
        (build_dir / "contract.rs").write_bytes(parts.contract)
        kernel = [*KERNEL_CRATE, *options, "--emit=link,asm", SOURCE]
        reject_failed_step(run_kernel_compiler(build_dir, parts, kernel), "does not compile")
        contract = [
            "--extern", "kernels=libkernels.rlib", "--crate-name=contract", "--crate-type=rlib",
            *options, "--emit=asm", "contract.rs",
        ]  # fmt: skip
        done = run_kernel_compiler(build_dir, parts, contract)
        reject_failed_step(done, "does not offer the target's surface")
        both = ((build_dir / name).read_text() for name in ("kernels.s", "contract.s"))
        (build_dir / "both.s").write_text("\n".join(both))

    key = hash_parts(parts.digest, " ".join(options), text)
    return (place_in_cache(root, "assembly", key, "both.s", make) / "both.s").read_text()


def parse_assembly(text: str) -> Mapping[str, tuple[Function, ...]]:
    """Every function of an assembly listing by name; a generic one has several versions."""
    found: dict[str, list[Function]] = {}
    for function in _read_functions(text.splitlines()):
        found.setdefault(function.name, []).append(function)
    return {name: tuple(versions) for name, versions in found.items()}


def _read_functions(lines: list[str]) -> Iterator[Function]:
    symbols = {m["symbol"] for line in lines if (m := _FUNCTION.fullmatch(line))}
    symbol, line, file, body, labels = "", 0, "", list[Instruction](), list[str]()
    for text in lines:
        if (label := _LABEL.match(text)) is not None:
            if label["label"] in symbols:
                symbol, line, body, labels = label["label"], 0, [], []
            if not _DEBUG_LABEL.fullmatch(label["label"]):
                labels.append(label["label"])
        elif (named := _FILE.fullmatch(text)) is not None:
            if named["names"].split('"')[-2] == SOURCE:
                file = named["number"]
        elif (place := _LINE.match(text)) is not None:
            if place["file"] == file and place["line"] != "0":
                line = int(place["line"])
        elif text.startswith("\t.size\t") and symbol and text[7:].startswith(f"{symbol},"):
            yield Function(symbol, demangle_symbol(symbol), tuple(body))
            symbol = ""
        elif symbol and (step := _STEP.fullmatch(_COMMENT.sub("", text))) is not None:
            body.append(Instruction(step["mnemonic"], step["operands"] or "", tuple(labels), line))
            labels = []


def demangle_symbol(symbol: str) -> str:
    """The path of a Rust symbol without its hash; a symbol of another form stays as it is.

    Reads the legacy form `_ZN` (lengths and names) exactly; of the form `_R` (rustc's
    documentation, "v0 Symbol Format") the names only, in their order.
    """
    rest = symbol.removeprefix("_ZN")
    if rest == symbol:
        if not symbol.startswith("_R"):
            return symbol
        return "::".join(_read_names(_CRATE_HASH.sub("C", symbol[2:]), skip="_")) or symbol
    names = list(_read_names(rest))
    if names and re.fullmatch(r"h[0-9a-f]{16}", names[-1]):
        names.pop()
    path = "::".join(name.removeprefix("_") if "$" in name else name for name in names)
    for escape, plain in _ESCAPES:
        path = path.replace(escape, plain)
    return path


def _read_names(text: str, skip: str = "") -> Iterator[str]:
    """Each run of digits is the length of the name behind it; `skip` may stand between."""
    at = 0
    while (length := _LENGTH.search(text, at)) is not None:
        begin = length.end() + (bool(skip) and text.startswith(skip, length.end()))
        end = begin + int(length[0])
        if end > len(text):
            return
        yield text[begin:end]
        at = end
