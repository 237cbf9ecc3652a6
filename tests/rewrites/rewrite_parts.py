"""Parts of the rewrites' tests: candidates of a small text, and where rustc refuses one."""

from __future__ import annotations

from pathlib import Path

from lance_autoresearch.records import RewriteKind
from lance_autoresearch.rewrites import Facts, apply_edits, list_rewrites

ROOT = Path(__file__).resolve().parents[2]


def make_candidates(text: str, kind: RewriteKind, facts: Facts | None = None) -> dict[str, str]:
    """Each candidate of a kind by its change, indented blanks removed."""
    found = list_rewrites(text.encode(), facts or Facts(), [kind])
    return {
        f"{r.step.place}: {r.step.change}": squeeze(apply_edits(text.encode(), [r]).decode())
        for r in found
    }


def squeeze(text: str) -> str:
    """A text with single blanks only."""
    return " ".join(text.split())
