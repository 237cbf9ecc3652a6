"""The tables `space-TARGET` of docs.py: which calls secret cases are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lance_autoresearch.targets.catalogue import load_target
from lance_autoresearch.targets.space import WIDTHS, Range, Space
from lance_autoresearch.targets.spec import DRAWN

HEAD = ("op", "quantity", "sizes", "always among a full draw")


def load_spaces(root: Path, target: str) -> tuple[Space, ...]:
    """The spaces of a target."""
    return load_target(root, target).spaces


def list_rows(spaces: Sequence[Space]) -> list[tuple[str, ...]]:
    """One row for each quantity of each op."""
    return [
        (f"`{space.op}`", name, f"{each.low:,} to {each.high:,}", _list_borders(each))
        for space in spaces
        for name, each in space.ranges.items()
    ]


def describe_spaces(spaces: Sequence[Space]) -> str:
    """Largest calls, bounds and families, op by op."""
    return "\n\n".join(map(_describe_space, spaces))


def _list_borders(each: Range) -> str:
    """Both ends, borders of integer widths in short, and the further ones."""
    low, high = each.low, each.snap(each.high)
    widths = [f"2^{bits}" for bits in WIDTHS if low <= 2**bits - 1 <= high]
    words = ["both ends", *(f"{width} and one beside" for width in widths)]
    return ", ".join([*words, *(f"{size:,}" for size in each.borders)])


def _describe_space(space: Space) -> str:
    families = ", ".join(f"`{name.removeprefix(DRAWN)}`" for name in dict.fromkeys(space.families))
    mib = space.max_bytes / (1 << 20)
    return f"`{space.op}`, at most {mib:g} MiB a call: {space.bound}. Families: {families}."
