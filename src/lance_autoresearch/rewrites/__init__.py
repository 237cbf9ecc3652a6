"""Mechanical rewrites: which edits could make this text faster and leave its results alone?

    for rewrite in list_rewrites(text, Facts()):
        rewrite.step.label                       unroll hamming: loop 2 by 4
        apply_edits(text, [rewrite])             the candidate

One module for each kind, a pure function from a syntax tree to candidate edits. A candidate is a
guess: rustc says whether it compiles, the oracle whether it is equal, the judge whether it is
faster. Each leaves a comment `// rewrite KIND: ...` in the code that says what was done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from lance_autoresearch.records import RewriteKind
from lance_autoresearch.rewrites.bounds import find_bounds
from lance_autoresearch.rewrites.edits import Edit, Facts, Rewrite, apply_edits, are_disjoint
from lance_autoresearch.rewrites.inlining import find_inlining
from lance_autoresearch.rewrites.iterate import find_iteration
from lance_autoresearch.rewrites.kernel_tree import KernelTree
from lance_autoresearch.rewrites.knobs import find_constants
from lance_autoresearch.rewrites.nest import find_nests
from lance_autoresearch.rewrites.output import find_outputs
from lance_autoresearch.rewrites.prefetch import find_prefetches
from lance_autoresearch.rewrites.select import find_selects
from lance_autoresearch.rewrites.unroll import find_unrolling
from lance_autoresearch.rewrites.wide import find_wide

__all__ = ["FINDERS", "Edit", "Facts", "Rewrite", "apply_edits", "are_disjoint", "list_rewrites"]

FINDERS: Mapping[RewriteKind, Callable[[KernelTree, Facts], Iterator[Rewrite]]] = {
    RewriteKind.WIDE: find_wide,
    RewriteKind.BOUNDS: find_bounds,
    RewriteKind.UNROLL: find_unrolling,
    RewriteKind.NEST: find_nests,
    RewriteKind.OUTPUT: find_outputs,
    RewriteKind.INLINE: find_inlining,
    RewriteKind.SELECT: find_selects,
    RewriteKind.PREFETCH: find_prefetches,
    RewriteKind.ITERATE: find_iteration,
    RewriteKind.KNOBS: find_constants,
}
"""Each kind with the function that finds its candidates."""


def list_rewrites(
    text: bytes, facts: Facts, kinds: Iterable[RewriteKind] | None = None
) -> list[Rewrite]:
    """All candidate edits of a kernel, by kind; a step once."""
    kernel = KernelTree(text)
    found: dict[object, Rewrite] = {}
    for kind in FINDERS if kinds is None else kinds:
        for rewrite in FINDERS[kind](kernel, facts):
            found.setdefault(rewrite.step, rewrite)
    return list(found.values())
