"""Kernels that go wrong on purpose: a kernel's text with a few lines run before or after one op."""

from __future__ import annotations

import re

SIGNATURE = r"pub fn {op}\s*(?P<params>\((?:[^()]|\([^()]*\))*\))(?P<result>\s*->\s*[^{{]+?)?\s*\{{"


def around(text: bytes, op: str, *, before: str = "", after: str = "") -> bytes:
    """The kernel with Rust statements before and after every call of an op.

    The op's parameters are in scope under their own names; `given` is what it returned.
    """
    source = text.decode()
    found = re.search(SIGNATURE.format(op=op), source)
    assert found is not None, f"no pub fn {op}"
    params, result = found["params"], (found["result"] or "").strip()
    names = re.findall(r"(?:^\(|,)\s*(?:mut\s+)?(\w+)\s*:\s*(&(?:'\w+ )?(?:mut )?)?", params)
    passed = ", ".join(f"&mut *{n}" if "mut" in ref else n for n, ref in names)
    inner = source[found.start() : found.end()].replace(f"pub fn {op}", f"fn {op}_inner", 1)
    wrapper = f"""
#[allow(unused, unreachable_code)]
pub fn {op}{params} {result} {{
    {before}
    let given = {op}_inner({passed});
    {after}
    given
}}
"""
    return (source[: found.start()] + inner + source[found.end() :] + wrapper).encode()
