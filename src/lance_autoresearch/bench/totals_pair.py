"""One process pair over distinct inputs, each timed once on both sides.

    pair = measure_totals(bench, sides, pools, list_all(pools), policy)
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.meter import ConductorMeter, PairPlan, Sides
from lance_autoresearch.bench.pools import Pool
from lance_autoresearch.records import PairTimes, TotalsPair
from lance_autoresearch.rules.policy import Policy


def measure_totals(
    bench: Bench, sides: Sides, pools: Sequence[Pool], picks: Sequence[Sequence[int]],
    policy: Policy,
) -> TotalsPair:  # fmt: skip
    """One process pair over these inputs of each op, in a fresh order, one call a slice.

    No process meets an input twice: an op of fewer inputs than another gets further ones.

    Raises:
        KernelAtFault, MachineError: as `Meter.measure_pair`.
    """
    used = [o for o, own in enumerate(picks) if own]
    # One input of each op warms up, so if all of them are wanted, one is left out.
    rounds = min(max(len(picks[o]) for o in used), *(len(pools[o].cases) - 1 for o in used))
    orders = [_draw_order(len(pools[o].cases), picks[o], rounds) for o in used]
    once = (1,) * len(used)
    plan = PairPlan(rounds, policy.slice_us, calls=once, orders=tuple(orders), drawn=True)
    meter = ConductorMeter(bench, [sides], [pools[o] for o in used], plan)
    with bench.hold_machine():
        times = meter.measure_pair()
    none: tuple[int, ...] = ()
    if not times.champion or not times.champion[0]:
        empty = (none,) * len(pools)
        return TotalsPair(empty, PairTimes((1,) * len(pools), empty, empty, (0, 0), times.void))
    seat = {o: i for i, o in enumerate(used)}
    return TotalsPair(
        tuple(orders[seat[o]][1:] if o in seat else none for o in range(len(pools))),
        PairTimes(
            (1,) * len(pools),
            tuple(times.champion[seat[o]] if o in seat else none for o in range(len(pools))),
            tuple(times.candidate[seat[o]] if o in seat else none for o in range(len(pools))),
            times.empty,
            times.void,
        ),
    )


def _draw_order(count: int, wanted: Sequence[int], rounds: int) -> tuple[int, ...]:
    """One input that warms up, then the wanted ones and further ones in random order."""
    dice = secrets.SystemRandom()
    wanted = dice.sample(list(wanted), min(rounds, len(wanted)))
    others = list(set(range(count)) - set(wanted))
    dice.shuffle(others)
    timed = [*wanted, *others[1 : 1 + rounds - len(wanted)]]
    dice.shuffle(timed)
    return (others[0], *timed)
