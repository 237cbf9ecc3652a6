"""What a mechanical rewrite changed, as a trial's row keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RewriteKind(StrEnum):
    """The kinds of mechanical rewrites; `rewrites` has one module for each."""

    WIDE = "wide"
    """The same function compiled for wider CPU features."""
    BOUNDS = "bounds"
    """Bounds checks removed."""
    UNROLL = "unroll"
    """Several iterations a round, or several accumulators."""
    NEST = "nest"
    """Nested loops tiled or interchanged."""
    OUTPUT = "output"
    """Allocation avoided: results written in place, buffers reserved or hoisted."""
    INLINE = "inline"
    """`#[inline]`, `#[inline(always)]`, `#[inline(never)]`, `#[cold]`."""
    SELECT = "select"
    """A branch became arithmetic or a select."""
    PREFETCH = "prefetch"
    """Memory requested some distance ahead."""
    ITERATE = "iterate"
    """Iterators in place of indices, or the reverse."""
    KNOBS = "knobs"
    """Another value of a constant."""


@dataclass(frozen=True, slots=True)
class RewriteStep:
    """One rewrite of one place; equal steps on one text are the same edit."""

    kind: str
    """A `RewriteKind`; a row of a later version may hold another name."""
    place: str
    """Path of the function or constant: `wide::values`."""
    change: str
    """`loop 2 by 4`, `#[cold]`: what distinguishes the edits of one kind in one place."""

    @property
    def label(self) -> str:
        """`unroll hamming: loop 2 by 4`."""
        return f"{self.kind} {self.place}: {self.change}"
