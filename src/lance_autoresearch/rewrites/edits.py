"""A candidate edit, and how edits are applied and combined.

    rewrite.step           RewriteStep("unroll", "hamming", "loop 1 by 4")
    apply_edits(text, [rewrite])
    are_disjoint([first, second])      whether both can be applied to one text
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lance_autoresearch.records import RewriteKind, RewriteStep


@dataclass(frozen=True, slots=True)
class Edit:
    """Bytes `start..end` of a text replaced."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the text does not say about its target."""

    reorders_floats: bool = False
    """Every result may differ in rounding, so the order of float additions is free."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One mechanical change of a kernel."""

    step: RewriteStep
    edits: tuple[Edit, ...]
    needs: tuple[str, ...] = ()
    """CPU features without which the change has no effect, as `lar_shim::Feature` names them."""


def make_step(kind: RewriteKind, place: str, change: str) -> RewriteStep:
    """A step of a known kind."""
    return RewriteStep(str(kind), place, change)


def apply_edits(text: bytes, rewrites: Iterable[Rewrite]) -> bytes:
    """The text with the edits of all rewrites, which must be disjoint."""
    done, at = [], 0
    for edit in _sort_edits(rewrites):
        done += [text[at : edit.start], edit.text.encode()]
        at = edit.end
    return b"".join([*done, text[at:]])


def are_disjoint(rewrites: Sequence[Rewrite]) -> bool:
    """Whether no edit of one touches bytes that another one replaces."""
    edits = _sort_edits(rewrites)
    return all(a.end <= b.start and a.start < b.start for a, b in itertools.pairwise(edits))


def _sort_edits(rewrites: Iterable[Rewrite]) -> list[Edit]:
    edits = [edit for rewrite in rewrites for edit in rewrite.edits]
    return sorted(edits, key=lambda edit: (edit.start, edit.end))
