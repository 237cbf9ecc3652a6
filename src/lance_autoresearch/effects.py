"""Kernels with an effect of known size: what a calibration injects. Pure text in, text out.

    delayed(text, {"scan8": [Spin(key=36864, count=40)]}, ops)

Every op of the surface is wrapped: the original runs, then a dependent chain of multiplications
spins for a number of steps that depends on the size of the call's arguments. A champion with such
a delay makes its own unchanged text a candidate with a true gain; a candidate with one is a true
loss. Each step is a few cycles, so an effect of 0.5 % on a call of 1 µs is within reach.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lance_autoresearch.errors import UsageError

SIGNATURE = r"pub fn {op}\s*(?P<params>\((?:[^()]|\([^()]*\))*\))(?P<result>\s*->\s*[^{{]+?)?\s*\{{"

SPIN = '''
#[inline(never)]
fn lar_spin(steps: u64) {
    let mut x: u64 = 1;
    for _ in 0..steps {
        x = core::hint::black_box(x.wrapping_mul(3));
    }
    core::hint::black_box(x);
}
'''


@dataclass(frozen=True, slots=True)
class Spin:
    """How long to spin for calls of about one size."""

    key: int
    """Bytes of all slices handed to the op."""
    count: float
    """Steps for a call of exactly that size; others scale with their size."""


def delayed(text: bytes, spins: Mapping[str, Sequence[Spin]]) -> bytes:
    """The kernel with every named op followed by its delay.

    Raises:
        UsageError: an op is not a plain `pub fn` with simple parameter names.
    """
    source = text.decode()
    for op, table in spins.items():
        if table:
            source = _wrap(source, op, table)
    return (source + SPIN).encode()


def _wrap(source: str, op: str, table: Sequence[Spin]) -> str:
    found = re.search(SIGNATURE.format(op=op), source)
    if found is None:
        raise UsageError(f"cannot find `pub fn {op}(...)` to delay", where="kernels.rs")
    params, result = found["params"], (found["result"] or "").strip()
    names = re.findall(r"(?:^\(|,)\s*(?:mut\s+)?(\w+)\s*:\s*(&?)", params)
    inner = re.sub(rf"pub fn {op}\b", f"fn {op}_undelayed", source[: found.end()][found.start():])
    sized = [name for name, reference in names if reference]
    arms = "\n".join(f"        ({s.key}, {s.count:.3})," for s in table)
    wrapper = f'''
pub fn {op}{params} {result} {{
    let key = 0 {"".join(f" + core::mem::size_of_val(&*{name})" for name in sized)};
    let given = {op}_undelayed({", ".join(name for name, _ in names)});
    const TABLE: &[(usize, f64)] = &[
{arms}
    ];
    let mut best = TABLE[0];
    for &row in TABLE {{
        if row.0.abs_diff(key) < best.0.abs_diff(key) {{
            best = row;
        }}
    }}
    lar_spin((best.1 * key as f64 / best.0.max(1) as f64 + 0.5) as u64);
    given
}}
'''
    return source[: found.start()] + inner + source[found.end():] + wrapper
