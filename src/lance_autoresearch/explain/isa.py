"""What must be known of an instruction set to read its loops: x86-64 and AArch64.

    isa = select_isa("x86_64-unknown-linux-gnu")
    isa.find_vector_bits(instruction)     512, 256, 128, or 0 for a scalar one
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from re import Pattern

from lance_autoresearch.explain.assembly import Instruction

_SYMBOL = re.compile(r"\b_(?:ZN|R)[\w.$]+|\bmem(?:cpy|set|move|cmp)\b|\bbcmp\b")
_LOCAL = re.compile(r"\.L\w+")


@dataclass(frozen=True, slots=True)
class Isa:
    """Patterns of one instruction set's assembly."""

    name: str
    jump: Pattern[str]
    """Mnemonics that jump, with or without a condition."""
    always: Pattern[str]
    """Those after which the next instruction does not follow."""
    call: Pattern[str]
    gather: Pattern[str]
    scalar_float: Pattern[str]
    """Mnemonics that use one element of a vector register."""
    widths: tuple[tuple[Pattern[str], int], ...]
    """Registers -> bits, widest first."""
    stack: Pattern[str]
    """Operands that name a slot on the stack."""
    memory: Pattern[str]
    """Operands that name memory, without its address."""
    store: Pattern[str]
    """An instruction, as text, that writes memory."""
    no_access: Pattern[str]
    """Mnemonics whose memory operand is not accessed."""
    step: Pattern[str]
    """An instruction, as text, that moves a register by a constant: groups reg, by."""

    def ends_block(self, instruction: Instruction) -> bool:
        """Whether control may leave here."""
        jumps = self.jump.fullmatch(instruction.mnemonic) is not None
        return jumps or not self.falls_through(instruction)

    def falls_through(self, instruction: Instruction) -> bool:
        """Whether the next instruction may follow."""
        return self.always.fullmatch(instruction.mnemonic) is None

    def list_jump_labels(self, instruction: Instruction) -> list[str]:
        """Local labels that it may jump to. A jump through a table shows none."""
        if self.jump.fullmatch(instruction.mnemonic) is None:
            return []
        return _LOCAL.findall(instruction.operands)

    def is_call(self, instruction: Instruction) -> bool:
        """Whether it calls a function."""
        return self.call.fullmatch(instruction.mnemonic) is not None

    def find_symbols(self, instruction: Instruction) -> list[str]:
        """Functions that it names."""
        return _SYMBOL.findall(instruction.operands)

    def find_vector_bits(self, instruction: Instruction) -> int:
        """Bits of the widest vector that it works on; 0 for scalars."""
        if self.scalar_float.fullmatch(instruction.mnemonic):
            return 0
        for register, bits in self.widths:
            if register.search(instruction.operands):
                return bits
        return 0

    def is_load(self, instruction: Instruction) -> bool:
        """Whether it reads memory."""
        return self._touches_memory(instruction) and not self.is_store(instruction)

    def is_store(self, instruction: Instruction) -> bool:
        """Whether it writes memory."""
        touches = self._touches_memory(instruction)
        return touches and self.store.match(str(instruction)) is not None

    def is_on_stack(self, instruction: Instruction) -> bool:
        """Whether it reads or writes a slot of the stack."""
        touches = self._touches_memory(instruction)
        return touches and self.stack.search(instruction.operands) is not None

    def _touches_memory(self, instruction: Instruction) -> bool:
        found = self.memory.search(instruction.operands) is not None
        skip = self.no_access.fullmatch(instruction.mnemonic) is not None
        return found and not skip and not self.is_call(instruction)


X86 = Isa(
    name="x86_64",
    jump=re.compile(r"j[a-z]+"),
    always=re.compile(r"jmp|ret|ud2"),
    call=re.compile(r"call"),
    gather=re.compile(r"v?p?(gather|scatter)\w*"),
    scalar_float=re.compile(r"v?\w+[sp]?(ss|sd|sh)|v?mov[dq]|v?pinsr\w|v?pextr\w|v?cvt\w+si\w*"),
    widths=tuple((re.compile(rf"\b{name}mm\d"), bits)
                 for name, bits in (("z", 512), ("y", 256), ("x", 128))),
    stack=re.compile(r"\[r[sb]p\b"),
    memory=re.compile(r"\["),
    store=re.compile(r"(?!v?u?com|cmp|test|push)\S+ (?:\w+ ptr )?\["),
    no_access=re.compile(r"lea|nop\w*|prefetch\w*"),
    step=re.compile(
        r"(?:add (?P<reg>r\w+), (?P<by>\d+)|sub (?P<reg2>r\w+), -(?P<by2>\d+)|inc (?P<reg1>r\w+))"
    ),
)
AARCH64 = Isa(
    name="aarch64",
    jump=re.compile(r"b|b\.\w+|cbn?z|tbn?z|br"),
    always=re.compile(r"b|br|ret|brk|udf"),
    call=re.compile(r"blr?"),
    gather=re.compile(r"ld1\w+_gather"),
    scalar_float=re.compile(r"fmov|umov|smov"),
    widths=((re.compile(r"\bv\d+\.|\bq\d+\b"), 128),),
    stack=re.compile(r"\[(sp|x29)\b"),
    memory=re.compile(r"\["),
    store=re.compile(r"st\w+ "),
    no_access=re.compile(r"prfm"),
    step=re.compile(r"add (?P<reg>x\d+), (?P=reg), #(?P<by>\d+)"),
)


def select_isa(host: str) -> Isa:
    """The instruction set of a target triple."""
    return X86 if host.startswith("x86_64") else AARCH64
