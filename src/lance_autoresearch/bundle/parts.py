"""The eight parts of a bundle as data: which are there, and why one is not.

    parts.Part(1, "patch", ("patch/crates.patch",), missing=())
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TITLE = re.compile(r"(perf|fix|feat|refactor)(\([a-z-]+\))?!?: [a-z][^\n]{8,80}[^.\n]")
"""What a Conventional Commits linter passes, with the types that a kernel change can have."""
MARK = "DRAFT"


@dataclass(frozen=True, slots=True)
class Part:
    """One of the eight parts."""

    number: int
    name: str
    files: tuple[str, ...]
    """Relative to the bundle."""
    missing: tuple[str, ...] = ()
    """What this machine could not produce; any makes the bundle a marked draft."""


NAMES = {
    1: "patch",
    2: "parity tests",
    3: "bench",
    4: "tables per CPU kind",
    5: "end to end",
    6: "checks",
    7: "title and body",
    8: "raw pairs and replay",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What a sceptical maintainer asks."""

    text: str
    part: int
    word: str = ""
    """Words of a `missing` entry that leave this question open; empty: any entry does."""


QUESTIONS = (
    Question("Which lines change, and does the patch apply to the release?", 1, "apply"),
    Question("Could fewer lines hold the gain?", 1, "ablat"),
    Question("Does every candidate give the same bits, also for corrupt input?", 2),
    Question("How do I run the bench, and what does it not touch?", 3),
    Question("On which processors was it measured? Is one combo slower anywhere?", 4, "processor"),
    Question("How large is the noise: an A/A row, an untouched control row?", 4, "A/A"),
    Question("Is a whole query faster, with equal answers?", 5, "verdict"),
    Question("How does it depend on nprobes, and what does it cost in memory?", 5, "nprobes"),
    Question("Does it pass fmt, clippy, rustdoc and the minimum Rust version?", 6, "minimum"),
    Question("Does every unsafe block say why it is sound?", 6, "SAFETY"),
    Question("Were all tiers run in release mode, and without AVX2?", 6, "tests"),
    Question("Does it build on AArch64?", 6, "AArch64"),
    Question("Is another open request on the same function?", 7, "request"),
    Question("Was AI used, and who takes responsibility?", 7, "responsib"),
    Question("Can I make one figure again without your tool?", 8, "replay"),
    Question("Where are the raw pairs, the seeds and the digests?", 8, "raw"),
)


def answer_questions(parts: tuple[Part, ...] | list[Part]) -> list[tuple[Question, str]]:
    """Each question with the place that answers it, or `not answered: why`."""
    by_number = {part.number: part for part in parts}
    answers = []
    for question in QUESTIONS:
        part = by_number[question.part]
        open_points = [what for what in part.missing if question.word.lower() in what.lower()]
        answer = ", ".join(part.files) if not open_points else "not answered: " + open_points[0]
        answers.append((question, answer or "not answered"))
    return answers
