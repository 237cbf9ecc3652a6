"""A target as its author writes it: data and one generator.

Worked example (targets/hamming/target.py, shortened):

    TARGET = Target(
        name="hamming",
        summary="hamming of lance-linalg",
        call_site="lance-index/src/vector/kmeans.rs:817",
        cost="10 % of assigning binary vectors to partitions",
        ops=(Op("hamming", outputs=(Out("f32", rule="bits32"),)),),
        timed=(Combo("hamming", {"n": 1024}, "random", calls=64, confirm={"n": 1100}),),
        checks=(Combo("hamming", {"n": 1}, "extremes"),),
        inputs=inputs,
    )

    def inputs(op, shape, dist, rng, calls, make):
        '''Yield `calls` calls; an array that several calls share is stored once.'''
        for _ in range(calls):
            yield Call(args=(values(np.uint8, shape["n"], dist, rng),), caps=(4,))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lance_autoresearch.targets.space import Space

Maker = Callable[[bytes], bytes]
"""Runs the target's maker program (built from upstream's own code): request -> answer."""

DRAWN = "drawn "
"""A distribution whose name begins with this draws its parameters too: scale, shift, mixture,
order, duplicates, skew. Of a timed distribution it is the form used at confirmation."""

RULES = ("bytes", "bits32", "bits64", "tieband")
"""Equality rules the conductor knows; `ulp32:N` is also accepted."""


@dataclass(frozen=True, slots=True)
class Out:
    """One output buffer of an op."""

    dtype: str
    """NumPy name of the element: u8, u32, f32, ..."""
    rule: str = "bytes"
    """bytes; bits32 / bits64 (NaN equals only NaN, any payload); ulp32:N; tieband."""
    align: int = 0
    """Declared alignment phase of its start in a 64-byte line, bytes."""
    align_min: int = 0
    """What its address is always a multiple of at the call site, bytes; 0: the size of an element.
    A comment beside it names the place in Lance that guarantees it."""

    @property
    def elem(self) -> int:
        """Bytes of one element."""
        return int(self.dtype[1:]) // 8


class RowOrder(StrEnum):
    """The form of the rows of a top-k result, which says what their order means."""

    HEAP = "heap"
    """As a heap's array lies: the order is no part of the result."""
    SORTED = "sorted"
    """By distance: the order of the distances is part of the result, that of rows at one distance
    is not."""


@dataclass(frozen=True, slots=True)
class Op:
    """One function of the kernel surface; the order in Target.ops is its number."""

    name: str
    outputs: tuple[Out, ...]
    rows: RowOrder | None = None
    """Set if the outputs are the rows of a top-k result: f32 distances, then u64 ids with rule
    `tieband` (ids at the last distance may be any that really have it)."""
    arg_align: tuple[int, ...] = ()
    """`Out.align_min` of the arguments, in their order; missing ones: the size of an element."""


@dataclass(frozen=True, slots=True)
class Call:
    """The data of one call: argument arrays (C-contiguous) and output capacities in bytes."""

    args: tuple[NDArray[Any], ...]
    caps: tuple[int, ...]
    ties: NDArray[Any] | None = None
    """Rule `tieband` only: sorted u64 ids of all rows at the k-th distance. Trusted; it stays
    in the conductor and never enters a kernel's process."""


@dataclass(frozen=True, slots=True)
class Combo:
    """Op x shape x distribution, timed or only checked."""

    op: str
    shape: Mapping[str, int]
    dist: str
    calls: int = 16
    """Distinct calls in the pool: together they walk at least 64 Ki values if timed."""
    confirm: Mapping[str, int] | None = None
    """Second size for confirmation: within 10 %, not a multiple of 64."""
    window_kib: int = 512
    """Declared cache state: what one slice may touch."""
    weight: float = 1.0

    @property
    def name(self) -> str:
        """`16x2048 clustered`; the same name at confirmation."""
        return ("x".join(str(v) for v in self.shape.values()) + f" {self.dist}").strip()

    @property
    def drawn_dist(self) -> str:
        """The form of its distribution whose parameters are drawn."""
        return DRAWN + self.dist.removeprefix(DRAWN)


Inputs = Callable[
    [str, Mapping[str, int], str, "np.random.Generator", int, "Maker | None"], Iterable[Call]
]
"""inputs(op, shape, dist, rng, calls, make) -> the calls of one pool."""


@dataclass(frozen=True, slots=True)
class Target:
    """A kernel surface of Lance: the measured calls, and the rule of equality."""

    name: str
    summary: str
    call_site: str
    """`crate/src/file.rs:line` at the pinned release."""
    cost: str
    """Share of the call in real work, with how it was measured."""
    ops: tuple[Op, ...]
    timed: tuple[Combo, ...]
    """At most 12."""
    checks: tuple[Combo, ...]
    """Further shapes, distributions and edge cases: compared, never timed."""
    inputs: Inputs
    spaces: tuple[Space, ...] = ()
    """One for each op, in any order: all calls that secret cases are drawn from."""
    demo: bool = False
    """`lar demo` plays the recorded ideas of this target."""
    tiers: tuple[str, ...] = ("native", "avx2", "scalar")
    """CPU tiers every kernel is checked at: native, avx512, avx2, scalar."""

    def find_space(self, op: str) -> Space:
        """The space of an op. Raises KeyError if it has none."""
        for space in self.spaces:
            if space.op == op:
                return space
        raise KeyError(op)

    def find_op_index(self, name: str) -> int:
        """Number of an op in the library. Raises KeyError for an unknown name."""
        for i, op in enumerate(self.ops):
            if op.name == name:
                return i
        raise KeyError(name)
