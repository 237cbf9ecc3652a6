"""Links a kernel library, and links it again with another layout.

rustc is given a stand-in linker that keeps the objects and the command instead of linking;
the real linker is then called directly, once for the library itself and once for every
layout variant. So a variant costs one linker run and differs from the library only in where
things lie:

    command = capture_link_command(build_dir)      # what rustc would have run, with placeholders
    link_library(command, home, out)               # the library
    link_library(command, home, out, layout=Layout(seed=7, step=64))
                                                   # padding before the kernel's text; sections
                                                   # shuffled if the linker is lld
    link_library(command, home, out, layout=Layout(7, order="kernel first"))
                                                   # objects in a given order, 0 to 60 bytes before
"""

from __future__ import annotations

import hashlib
import random
import re
import shlex
import struct
from dataclasses import dataclass
from pathlib import Path

from lance_autoresearch.build.compiler import build_loader_environment
from lance_autoresearch.errors import BuildFault
from lance_autoresearch.host.cpu_budget import CpuBudget
from lance_autoresearch.host.sandbox import (
    ResourceLimits,
    SandboxResult,
    find_system_program,
    run_sandboxed,
)
from lance_autoresearch.host.toolchain import Toolchain

HOME = "@HOME@"
"""Placeholder for the final directory of a build."""
OUT = "@OUT@"
KEEPER = """#!/bin/sh
# Stands in for the linker: keeps what rustc would have linked, and the full command.
mkdir keep || exit 1
cp rustc*/* keep/ 2>/dev/null
for file in *.rcgu.o; do cp "$file" keep/ || exit 1; done
exec cc '-###' "$@" 2> keep/command
"""
MAX_PAD = 4096
"""Largest padding before the kernel's text, bytes (method: random multiples up to 4 KiB)."""
SHUFFLED = "shuffled"
ORDERS = (SHUFFLED, "contract first", "kernel first")
"""How objects follow one another: by chance if the linker is lld, or one way or the other."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One random layout."""

    seed: int
    step: int = 64
    """Padding is a multiple of this: 64 with the aligning flags, 4 without."""
    order: str = SHUFFLED

    @property
    def pad(self) -> int:
        """Bytes of padding: 0 to MAX_PAD, or 0 to 60 if the order is given."""
        rng = random.Random(f"pad {self.seed}")
        if self.order != SHUFFLED:
            return rng.randrange(16) * 4
        return rng.randrange(0, MAX_PAD // self.step + 1) * self.step


def capture_link_command(build_dir: Path, tools: Toolchain) -> list[str]:
    """The linker command that `KEEPER` kept, free of temporary paths.

    Raises:
        BuildFault: `cc -###` did not print a command as gcc and clang do.
    """
    lines = (build_dir / "keep" / "command").read_text(errors="replace").splitlines()
    command = next((shlex.split(x) for x in reversed(lines) if x.startswith((' "', " /"))), None)
    if not command:
        raise BuildFault("cc -### printed no linker command", where="linker", next="lar doctor")
    prefix = re.escape(str(build_dir)) + "/"
    kept: list[str] = []
    skip = False
    for i, token in enumerate(command[1:], 1):
        if skip or token in ("-plugin", "-fuse-ld=lld") or token.startswith("-plugin-opt="):
            skip = token == "-plugin"
            continue
        if command[i - 1] == "-o":
            token = OUT
        token = re.sub(rf"(?:{prefix})?rustc[A-Za-z0-9]{{6}}/", f"{HOME}/keep/", token)
        token = re.sub(rf"^(?:{prefix})?([^/]+\.rcgu\.o)$", rf"{HOME}/keep/\1", token)
        kept.append(re.sub(prefix, f"{HOME}/", token))
    return [*_find_linker(command[0], tools), *kept]


def _find_linker(driver: str, tools: Toolchain) -> list[str]:
    """collect2 is only gcc's wrapper: name the linker behind it."""
    if tools.lld is not None:
        return [tools.lld, "-flavor", "gnu", "--threads=1"]
    if Path(driver).name != "collect2":
        return [driver]
    return [find_system_program("ld") or "/usr/bin/ld"]


def link_library(
    command: list[str],
    home: Path,
    out: Path,
    *,
    tools: Toolchain,
    readable: list[Path],
    layout: Layout | None = None,
    budget: CpuBudget | None = None,
) -> SandboxResult:
    """Run the linker in a sandbox that can write only the directory of `out`."""
    extra: list[str] = []
    pad: Path | None = None
    if layout is not None:
        pad = out.with_suffix(".pad.o")
        if layout.pad and _is_elf(home):
            step = layout.step if layout.order == SHUFFLED else 4
            pad.write_bytes(build_pad_object(layout.pad, _read_elf_header(home), step))
        if tools.lld is not None and layout.order == SHUFFLED:
            seed = random.Random(f"shuffle {layout.seed}").randrange(1, 1 << 31)
            extra = [f"--shuffle-sections=.text.*={seed}", f"--shuffle-sections=.rodata*={seed}"]
    before = _find_kernel_position(command, layout.order if layout else SHUFFLED)
    argv: list[str] = []
    for place, token in enumerate(command):
        if pad is not None and place == before:
            argv += [str(pad)] if pad.is_file() else []
            argv += [] if layout is None or layout.order == SHUFFLED else [str(home / "kernels.o")]
        argv.append(token.replace(HOME, str(home)).replace(OUT, str(out)))
    done = run_sandboxed(
        [*argv, *extra],
        workdir=out.parent,
        readable=[tools.sysroot, *readable, *([home] if home != out.parent else [])],
        limits=ResourceLimits(seconds=60),
        env=build_loader_environment(tools),
        budget=budget,
    )
    if pad is not None:
        pad.unlink(missing_ok=True)
    return done


def _find_kernel_position(command: list[str], order: str) -> int:
    """Index of the argument before which the kernel's code goes.

    The linker takes a library's members on demand, at any place of the library in the command.
    With a given order the command names the kernel's object itself, and does not need its library.
    """
    wanted = "/keep/contract." if order == "kernel first" else "/libkernels.rlib"
    return next((i for i, token in enumerate(command) if wanted in token), len(command))


def _read_elf_header(home: Path) -> bytes:
    with (home / "kernels.o").open("rb") as file:
        return file.read(64)


def _is_elf(home: Path) -> bool:
    return _read_elf_header(home).startswith(b"\x7fELF\x02\x01")


def build_pad_object(size: int, like: bytes, align: int) -> bytes:
    """A relocatable ELF64 object that holds `size` bytes of text that no code refers to.

    `like` is the ELF header of an object of the same machine. SHF_GNU_RETAIN keeps the section
    through --gc-sections. Layout per the System V ABI, chapter 4 (object files).
    """
    name = b".text.lar_pad"
    names = b"\0" + name + b"\0.shstrtab\0.note.GNU-stack\0"
    text, shstr = 64, 64 + size
    table = (shstr + len(names) + 7) & ~7
    alloc_exec_retain = 0x2 | 0x4 | 0x200000
    sections = [
        struct.pack("<IIQQQQIIQQ", *[0] * 10),
        struct.pack("<IIQQQQIIQQ", 1, 1, alloc_exec_retain, 0, text, size, 0, 0, align, 0),
        struct.pack("<IIQQQQIIQQ", 2 + len(name), 3, 0, 0, shstr, len(names), 0, 0, 1, 0),
        struct.pack("<IIQQQQIIQQ", 12 + len(name), 1, 0, 0, text, 0, 0, 0, 1, 0),
    ]
    header = bytearray(like[:64])
    # e_type = ET_REL; no program headers; section table at `table`; names in section 2
    struct.pack_into("<H", header, 16, 1)
    struct.pack_into("<QQQ", header, 24, 0, 0, table)
    struct.pack_into("<HHHHHH", header, 52, 64, 0, 0, 64, len(sections), 2)
    nop = b"\x90" if struct.unpack_from("<H", like, 18)[0] == 62 else b"\0"
    body = nop * size + names
    return bytes(header) + body + b"\0" * (table - 64 - len(body)) + b"".join(sections)


_CODE = re.compile(rb"\.(text|rodata|data\.rel\.ro|data|tdata|init_array)")


def hash_code(library: Path) -> str:
    """sha256 of `extract_loaded_bytes`: two kernels with one digest are one program."""
    return hashlib.sha256(extract_loaded_bytes(library.read_bytes())).hexdigest()


def is_untouched(library: Path, digest: str) -> bool:
    """Whether a library is still the one that was linked."""
    try:
        return hash_code(library) == digest
    except (OSError, ValueError, IndexError, struct.error):
        return False


def extract_loaded_bytes(library: bytes) -> bytes:
    """Code and constants of a linked ELF library, without symbol tables and notes.

    They decide whether two kernels are the same program. Of other formats: all bytes.
    """
    if not library.startswith(b"\x7fELF\x02\x01"):
        return library
    table, size, count, names_at = (
        struct.unpack_from("<Q", library, 40)[0],
        *struct.unpack_from("<HHH", library, 58),
    )
    sections = [
        struct.unpack_from("<IIQQQQ", library, table + i * size) for i in range(count)
    ]  # name, type, flags, address, offset, size
    names = sections[names_at][4]
    out = []
    for name, kind, _flags, _address, offset, length in sections:
        end = library.index(b"\0", names + name)
        if kind == 1 and _CODE.match(library[names + name : end]):
            out.append(library[offset : offset + length])
    return b"".join(out)
