"""The toy target with a planted delay in each of its two ops, for scripted agents to lower.

    text = plant_delays(1500)               # Lance's place is taken by the toy's own first kernel
    set_delay(text, "BLEND", 0)             # a gain in one op
    read_delays(text)                       # {"BLEND": 1500, "COMPACT": 1500}

Each delay is a loop of as many steps, so that a gain shows on any processor.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from lance_autoresearch.build.builder import compose_first_kernel

TOY = "_toy"
OPS = ("BLEND", "COMPACT")
DELAY = re.compile(rb"const (\w+)_DELAY: u32 = (\d+);")
ROOT = Path(__file__).resolve().parent.parent


@functools.cache
def plant_delays(steps: int = 1500) -> bytes:
    """The toy's first kernel, both ops slower by a loop of `steps` steps."""
    text = compose_first_kernel(ROOT, TOY).decode()
    for op in OPS:
        at = text.index("{", text.index(f"pub fn {op.lower()}(")) + 1
        loop = f"for step in 0..{op}_DELAY {{\n        core::hint::black_box(step);\n    }}"
        text = f"{text[:at]}\n    {loop}{text[at:]}\nconst {op}_DELAY: u32 = {steps};\n"
    return text.encode()


def read_delays(text: bytes) -> dict[str, int]:
    """The planted delays of a kernel, in steps."""
    return {name.decode(): int(value) for name, value in DELAY.findall(text)}


def set_delay(text: bytes, op: str, steps: int) -> bytes:
    """The kernel with another delay in one op."""
    return re.sub(rb"(const %s_DELAY: u32 = )\d+" % op.encode(), rb"\g<1>%d" % steps, text)
