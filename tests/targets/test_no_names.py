"""Nothing in src/ or rust/ names a target: what is particular to one stands in its folder."""

from __future__ import annotations

import functools
import re
import subprocess
from pathlib import Path

from lance_autoresearch.targets import catalogue

ROOT = Path(__file__).resolve().parents[2]
WORDS = ("take", "predicate", "dictionary", "accumulate", "sum", "find", "merge", "next")
"""Names of targets and ops that are English words: looked for in quotes and in paths only."""


@functools.cache
def names() -> set[str]:
    """Names of the targets, the waiting ones included, and of the ops of those that run."""
    known = {t.name for t in catalogue.load_targets(ROOT)} | {
        w.name for w in catalogue.list_waiting(ROOT)
    }
    return known | {op.name for t in catalogue.load_targets(ROOT) for op in t.ops}


def pattern(name: str) -> str:
    spelled = re.escape(name).replace(r"\-", "[-_]?")
    if name in WORDS:
        return rf"(?i)targets/{spelled}\b|[\"'`]{spelled}[\"'`]"
    return rf"(?i)(?<![a-z]){spelled}(?![a-z])"


def tracked(*folders: str) -> list[Path]:
    listed = subprocess.check_output(["git", "ls-files", "--", *folders], cwd=ROOT, text=True)
    paths = (ROOT / line for line in listed.splitlines() if not line.endswith(".lock"))
    return [path for path in paths if path.is_file()]


def named(text: str) -> list[str]:
    return [n for n in sorted(names()) if re.search(pattern(n), text)]


def test_no_shared_file_names_a_target() -> None:
    files = tracked("src", "rust")
    assert len(files) > 150, "the search itself is broken"
    found = {str(p.relative_to(ROOT)): names for p in files if (names := named(p.read_text()))}
    assert not found


def test_the_search_finds_what_it_looks_for() -> None:
    seen = ("targets/pq-l2/x", "PqL2", "scan8 16x2048", "an fsst pool", '"take"', "TOPK_MERGE")
    for text in seen:
        assert named(text), text
    for text in ("how long a command may take", "scanning", "a dictionary of words", "find"):
        assert not named(text), text
