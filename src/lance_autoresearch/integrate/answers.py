"""Answers of queries, as the end-to-end program writes them, and when two of them are equal.

    is_equal(*parse_answers("rows 17:3f800000;rows 17:3f800000"))     True

Rows of a search: the scores must be equal bit by bit, and the ids of all rows whose score is not
the last one. Lance itself leaves open which rows are taken at the last score. Values: equal
digests.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a search."""

    rows: tuple[tuple[int, str], ...]
    """Row id and the bits of the score, in the order of the answer."""


@dataclass(frozen=True, slots=True)
class Values:
    """Digest and number of the values of a scan."""

    digest: str
    count: int


Answer = Rows | Values


def parse_answers(line: str) -> tuple[Answer, ...]:
    """Raises ValueError if a line is not what the program writes."""
    return tuple(_parse_answer(text) for text in line.split(";")) if line else ()


def _parse_answer(text: str) -> Answer:
    words = text.split()
    try:
        if words[0] == "values":
            return Values(words[1], int(words[2]))
        if words[0] == "rows":
            pairs = (one.split(":") for one in words[1].split(",")) if len(words) > 1 else ()
            return Rows(tuple((int(row), bits) for row, bits in pairs))
    except (IndexError, ValueError):
        pass
    raise ValueError(f"not an answer: {text[:80]!r}")


def is_equal(a: Answer, b: Answer) -> bool:
    """Whether two answers of one query are the same result."""
    if not isinstance(a, Rows) or not isinstance(b, Rows):
        return a == b
    if [bits for _, bits in a.rows] != [bits for _, bits in b.rows]:
        return False
    last = a.rows[-1][1] if a.rows else ""
    return _sort_settled(a, last) == _sort_settled(b, last)


def _sort_settled(answer: Rows, last: str) -> list[tuple[str, int]]:
    """Rows above the last score; at one score any order will do."""
    return sorted((bits, row) for row, bits in answer.rows if bits != last)
