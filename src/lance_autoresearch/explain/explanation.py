"""All that `lar explain` knows of one kernel, beside another one.

    found = explain_kernel(bench, kernel, other, tier="native", policy=policy)
    found.ops["hamming"].kernel.loops[0].vector_bits
    found.headroom[0].factor
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.meter import KernelAtFault
from lance_autoresearch.bench.tiers import AVX512, apply_limit, find_feature_mask
from lance_autoresearch.build.builder import build_kernel
from lance_autoresearch.errors import LarError
from lance_autoresearch.explain.assembly import Function, emit_assembly, parse_assembly
from lance_autoresearch.explain.headroom import Headroom, measure_headroom
from lance_autoresearch.explain.isa import Isa, select_isa
from lance_autoresearch.explain.loops import LoopFacts, OpCode, describe_op
from lance_autoresearch.explain.model import ModelResult, ask_models
from lance_autoresearch.host.toolchain import Toolchain
from lance_autoresearch.rules.policy import Policy

AVX2_BITS = 256
ASKED_LOOPS = 1
"""Loops of each op that models are asked about."""


@dataclass(frozen=True, slots=True)
class OpSides:
    """One op of both kernels."""

    kernel: OpCode
    other: OpCode
    models: tuple[tuple[LoopFacts, tuple[ModelResult, ...]], ...] = ()
    """For the first loops of the kernel, the answers of the models that are installed."""

    @property
    def same(self) -> bool:
        """Whether both run the same loops."""
        return [loop.body for loop in self.kernel.loops] == [
            loop.body for loop in self.other.loops
        ]

    def compare_first_loops(self) -> list[str]:
        """A unified difference of the loops that come first on each side."""
        old, new = (
            list(code.loops[0].body) if code.loops else [] for code in (self.other, self.kernel)
        )
        found = difflib.unified_diff(old, new, lineterm="", n=2)
        return list(itertools.islice(found, 2, None))


@dataclass(frozen=True, slots=True)
class Explanation:
    """What can be seen in a kernel's machine code, and how far it is from memory's limit."""

    target: str
    cpu_kind: str
    tier: str
    ops: Mapping[str, OpSides]
    headroom: tuple[Headroom, ...] = ()
    not_measured: str = ""
    """Why there is no headroom, or an empty string."""


def explain_kernel(
    bench: Bench, kernel: bytes, other: bytes, policy: Policy, *,
    tier: str = "native", only: str | None = None, timed: bool = True,
) -> Explanation:  # fmt: skip
    """Read a kernel's loops beside another kernel's, ask models, and measure the headroom.

    Args:
        tier: loops of wider vectors than it allows are left out.
        only: this op alone.
        timed: measure the headroom.

    Raises:
        RejectedKernel: one of the two does not compile.
        LarError: a trusted part failed.
    """
    isa = select_isa(Toolchain.probe(bench.root).host)
    kind = str(bench.machine["cpu_kind"])
    sides = [
        parse_assembly(emit_assembly(bench.root, bench.target.name, text))
        for text in (kernel, other)
    ]
    widest = find_widest_vector(tier, apply_limit(bench.opened.features))
    names = [op.name for op in bench.target.ops if only in (None, op.name)]
    ops = {name: _describe_sides(sides, name, isa, widest, kind) for name in names}
    rows: Sequence[Headroom] = ()
    why = "not asked for"
    if timed:
        rows, why = _try_headroom(bench, kernel, policy, tier)
    if only is not None:
        labels = {c.label for c in bench.combos if c.op == only}
        rows = [row for row in rows if row.label in labels]
    return Explanation(bench.target.name, kind, tier, ops, tuple(rows), why)


def find_widest_vector(tier: str, features: int) -> int | None:
    """Bits of the widest vector that code may use at a tier here; None: no limit is known."""
    if tier == "avx512":
        return None
    masked = find_feature_mask(tier, features)
    word = features if masked is None else masked
    return None if word & AVX512 else AVX2_BITS


def _describe_sides(
    sides: Sequence[Mapping[str, Sequence[Function]]], op: str, isa: Isa, widest: int | None,
    kind: str,
) -> OpSides:  # fmt: skip
    kernel, other = (_drop_wider(describe_op(side, op, isa), widest) for side in sides)
    first = kernel.loops[:ASKED_LOOPS]
    models = tuple((loop, tuple(ask_models(loop, isa, kind))) for loop in first)
    return OpSides(kernel, other, models)


def _drop_wider(code: OpCode, widest: int | None) -> OpCode:
    """Without functions that use wider vectors: they do not run at this tier."""
    if widest is None:
        return code
    wide = {loop.function for loop in code.loops if loop.vector_bits > widest}
    loops = tuple(loop for loop in code.loops if loop.function not in wide)
    names = tuple(name for name in code.functions if name not in wide)
    return OpCode(code.op, names, code.instructions, loops)


def _try_headroom(
    bench: Bench, kernel: bytes, policy: Policy, tier: str
) -> tuple[Sequence[Headroom], str]:
    """The headroom, or why it could not be measured."""
    try:
        built = build_kernel(bench.root, bench.target.name, kernel)
        return measure_headroom(bench, built, policy, tier), ""
    except KernelAtFault as fault:
        return (), f"the kernel is at fault: {fault}"
    except LarError as error:
        return (), error.what


def list_facts(loop: LoopFacts) -> Iterator[str]:
    """What is remarkable about a loop, in the order of importance."""
    yield f"{loop.vector_bits}-bit vectors" if loop.vector_bits else "scalar"
    step = f" per {loop.step_bytes} bytes" if loop.step_bytes else ""
    yield f"{loop.instructions} instructions{step}"
    for count, one, many in (
        (loop.loads, "load", "loads"),
        (loop.stores, "store", "stores"),
        (loop.gathers, "gather", "gathers"),
        (loop.spills, "access to the stack", "accesses to the stack"),
        (loop.checks, "check that may panic", "checks that may panic"),
    ):
        if count:
            yield f"{count} {one if count == 1 else many}"
    if loop.callees:
        yield f"calls {', '.join(loop.callees)}"
