"""When two answers of one query are the same result."""

from __future__ import annotations

import pytest

from lance_autoresearch.integrate.answers import Rows, Values, is_equal, parse_answers

ONE = Rows(((7, "3f800000"), (9, "3f900000"), (4, "3fa00000")))


def test_answers_are_read_as_they_are_written() -> None:
    line = "rows 7:3f800000,9:3f900000,4:3fa00000;values 00ff 50000;rows "
    assert parse_answers(line) == (ONE, Values("00ff", 50000), Rows(()))
    assert parse_answers("") == ()


@pytest.mark.parametrize("line", ["rows x", "values 1", "done 5 5", "rows 1:2;", "rows 1"])
def test_other_text_is_no_answer(line: str) -> None:
    with pytest.raises(ValueError, match="not an answer"):
        parse_answers(line)


def test_rows_at_the_last_score_are_free() -> None:
    assert is_equal(ONE, ONE)
    assert is_equal(ONE, Rows((*ONE.rows[:2], (5, "3fa00000"))))
    assert not is_equal(ONE, Rows(((8, "3f800000"), *ONE.rows[1:])))


def test_scores_are_compared_bit_by_bit() -> None:
    assert not is_equal(ONE, Rows((*ONE.rows[:2], (4, "3fa00001"))))
    assert not is_equal(ONE, Rows(ONE.rows[:2]))
    assert not is_equal(Rows(()), ONE) and is_equal(Rows(()), Rows(()))


def test_rows_of_one_score_may_change_places() -> None:
    tie = (("3f800000", 1), ("3f800000", 2), ("3f900000", 3))
    a = Rows(tuple((row, bits) for bits, row in tie))
    b = Rows(((2, "3f800000"), (1, "3f800000"), (3, "3f900000")))
    assert is_equal(a, b)


def test_values_are_equal_by_digest_and_count() -> None:
    assert is_equal(Values("aa", 3), Values("aa", 3))
    assert not is_equal(Values("aa", 3), Values("ab", 3))
    assert not is_equal(Values("aa", 3), Values("aa", 4))
    assert not is_equal(Values("aa", 3), ONE)
