"""The light workspace, built once, and kernels for its hook."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lance_autoresearch.build.builder import compose_first_kernel
from lance_autoresearch.integrate.workspace import LIGHT, Workspace, describe_workspace
from lance_autoresearch.rules.policy import QUERIES

ROOT = Path(__file__).parents[2]


SHORT = replace(QUERIES, max_pairs=8, rounds=1, block_ms=2.0, quiet_looks=0, reply_seconds=5.0)
"""Fewer and shorter blocks, for what does not depend on times."""


def find_light() -> Workspace:
    """The light workspace of this checkout."""
    return describe_workspace(ROOT, LIGHT)


def make_kernel(twist: str) -> bytes:
    """Lance's own FSST kernel; `twist` runs after each call, before it returns `n` bytes."""
    first = compose_first_kernel(ROOT, "fsst").decode()
    assert first.count("pub fn decompress_i32(") == 1
    honest = first.replace("pub fn decompress_i32(", "fn honest_i32(")
    return f"""{honest}
pub fn decompress_i32(
    table: &[u8], codes: &[u8], off: &[i32], out: &mut [MaybeUninit<u8>], out_off: &mut [i32],
) -> Result<usize, FsstErr> {{
    let n = honest_i32(table, codes, off, out, out_off)?;
    {twist}
    Ok(n)
}}
""".encode()
