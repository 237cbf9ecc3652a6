"""Which cases of a parametrised test run in the fast tier; the others are marked `deep`.

    @pytest.mark.parametrize("target", fast_for(["fsst", "pq-l2"], "pq-l2"))

`make test` runs what is not marked, `make test-all` everything (tools/run_tests.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import pytest

Value = TypeVar("Value")

FAST_TARGET = "pq-l2"
"""The target on which the fast tier shows what holds for each."""


def fast_for(values: Iterable[Value], *fast: Value) -> list[object]:
    """Parameters, those not named in `fast` marked `deep`."""
    known = list(values)
    assert set(fast) <= set(known), "the fast tier names a case that is not there"
    return fast_where(known, lambda value: value in fast)


def fast_pairs(rows: Iterable[tuple[object, ...]], *fast: tuple[object, ...]) -> list[object]:
    """Rows of several parameters, those not named in `fast` marked `deep`."""
    known = list(rows)
    assert set(fast) <= set(known), "the fast tier names a row that is not there"
    return [r if r in fast else pytest.param(*r, marks=pytest.mark.deep) for r in known]


def fast_where(values: Iterable[Value], is_fast: Callable[[Value], bool]) -> list[object]:
    """Parameters, those for which `is_fast` is false marked `deep`. At least one must be fast."""
    known = list(values)
    assert any(map(is_fast, known)), "the fast tier shows none of these"
    return [v if is_fast(v) else pytest.param(v, marks=pytest.mark.deep) for v in known]
