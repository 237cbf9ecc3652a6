"""The order of one process pair over distinct inputs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lance_autoresearch.bench.totals_pair import _draw_order


@given(st.integers(2, 60), st.data())
def test_no_input_comes_twice_and_wanted_ones_are_timed(count: int, data: st.DataObject) -> None:
    rounds = data.draw(st.integers(1, count - 1))
    wanted = data.draw(st.lists(st.integers(0, count - 1), unique=True, max_size=count))
    first, *timed = _draw_order(count, wanted, rounds)
    assert len(timed) == rounds and len({first, *timed}) == rounds + 1
    assert len(set(wanted) & set(timed)) == min(rounds, len(wanted))
