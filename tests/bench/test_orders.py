"""A pair may be given the calls that it plays in their order: a slow one is found by its place."""

from __future__ import annotations

import numpy as np
import pytest
from conductor_parts import Bench, library

from lance_autoresearch.errors import MachineError


@pytest.mark.timing
def test_a_pair_plays_the_calls_it_is_told_in_their_order(bench: Bench) -> None:
    rng = np.random.default_rng(4)
    first = rng.random((48, 2, 256), dtype=np.float32)[:, 0, 0]
    slow = 17
    body = f"""if a[0].to_bits() == {first[slow].view(np.uint32)} {{
        for i in 0..300_000u32 {{ std::hint::black_box(i); }}
    }}
    for i in 0..out.len() {{ out[i] = a[i] * 3.0 + b[i]; }}"""
    candidate = bench.build("slow-once", library(body))
    order = (3, 40, 2, slow, 9, 1)
    for _ in range(20):
        found = bench.conductor.measure_pair(
            bench.honest, candidate, bench.pools, seed=9, rounds=5, calls=[1], orders=[order]
        )
        if found.times is not None and found.void is None:
            break
    else:
        pytest.skip("the machine is too busy to measure anything")
    assert int(np.argmax(found.times.candidate[0])) == order.index(slow) - 1, "the first warms up"
    assert max(found.times.candidate[0]) > 5 * sorted(found.times.candidate[0])[-2]


@pytest.mark.parametrize("orders", [[[48]], [[]], [[1], [2]]])
def test_an_order_must_fit_its_pool(bench: Bench, orders: list[list[int]]) -> None:
    with pytest.raises(MachineError, match="one order per pool"):
        bench.conductor.measure_pair(
            bench.honest, bench.honest, bench.pools, seed=9, rounds=1, calls=[1], orders=orders
        )
