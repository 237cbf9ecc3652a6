"""The space of a call: all sizes that an op may meet in Lance, and secret draws from it.

    ROWS = Space(
        "hamming", {"n": Range(0, 1 << 20)}, ("drawn random", "drawn skewed"),
        max_bytes=16 << 20, bound="rows of a batch: u32; here 2^20, since memory ends there",
        call_bytes=lambda shape: 2 * shape["n"] + 4,
    )
    draw_combos(ROWS, rng, 400, max_bytes=128 << 20)
        -> [Combo("hamming", {"n": 65_537}, "drawn skewed", calls=1), ...]

A draw is log-uniform, mixed with borders of integer widths, powers of two and multiples, each also
one below and one above, and with sizes that equal that of another quantity, or are beside it. If a
call of the drawn sizes would need too much memory, the size that was
drawn first stays and the others are drawn again from what is left. Pure: the same generator state
gives the same cases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lance_autoresearch.targets.spec import Combo

if TYPE_CHECKING:
    import numpy as np

Shape = Mapping[str, int]
CallBytes = Callable[[Shape], int]

WIDTHS = (8, 16, 31, 32, 63, 64)
"""Bits of the integers in which a kernel may hold a size; the borders are 2^bits and one beside."""
MULTIPLES = (8, 16, 32, 64, 100, 256, 1024)
"""Sizes of blocks that kernels work in."""
PLAIN, BORDER, POWER = 0.5, 0.62, 0.8
"""Of 100 sizes, 50 are log-uniform, 12 borders, 18 beside powers of two, 20 beside multiples."""
ALIKE = 0.1
"""In this share of the sizes another quantity's size is taken, or one beside it."""
SPREAD = (-2.0, 3.0)
"""A case may use 2^-2 to 2^3 times its share of the memory of all cases..."""
LEAD = 4
"""...of which the quantity that is drawn first may use this many times as much..."""
FULL = 1 / 8
"""...and in this share of the cases all that a call may have."""
ROOM = 1.25
"""The other quantities may make a call this much larger than the first alone does."""
MARGIN = 0.7
"""No case uses more than this share of the memory that is left."""


@dataclass(frozen=True, slots=True)
class Range:
    """The sizes that one quantity of a call may have: rows, sub-vectors, dimensions, k."""

    low: int
    high: int
    """Inclusive."""
    borders: tuple[int, ...] = ()
    """Further sizes that every full draw contains; they may lie above `high`, where no others are
    drawn. Borders of integer widths within the range, and its ends, need not be named."""
    step: int = 1
    """Sizes are `low` plus a multiple of this."""

    def list_widths(self) -> list[int]:
        """Borders of integer widths within the range, ascending."""
        beside = (2**bits + near for bits in WIDTHS for near in (-1, 0, 1))
        return sorted(v for v in beside if self.low <= v <= self.high and self.holds(v))

    def list_borders(self) -> list[int]:
        """Sizes that every full draw contains, ascending: `borders`, widths, both ends."""
        ends = self.low, self.snap(self.high)
        return sorted({*ends, *self.list_widths(), *self.borders})

    def holds(self, value: int) -> bool:
        """Whether it is `low` plus a multiple of `step`."""
        return (value - self.low) % self.step == 0

    def snap(self, value: int) -> int:
        """The next size of the range at or below a value."""
        inside = min(max(value, self.low), self.high)
        return inside - (inside - self.low) % self.step


@dataclass(frozen=True, slots=True)
class Space:
    """All calls of one op that a check may draw."""

    op: str
    ranges: Mapping[str, Range]
    """Quantity -> its sizes; the quantities are those of the op's shapes."""
    families: tuple[str, ...]
    """Distributions, as `inputs` takes them. One that begins with `drawn ` draws its parameters."""
    max_bytes: int
    """Inputs and outputs of one call are at most this large."""
    bound: str
    """One sentence for the page: where the upper limits come from, Lance's format or memory."""
    call_bytes: CallBytes
    """Bytes of inputs and outputs of a call of a shape, or an upper bound of them. If a quantity
    grows, it never falls."""

    @property
    def smallest(self) -> dict[str, int]:
        """The shape in which every quantity is least."""
        return {name: each.low for name, each in self.ranges.items()}


def draw_combos(
    space: Space, rng: np.random.Generator, count: int, *, max_bytes: int
) -> list[Combo]:
    """Draw this number of cases, each a combo of one call, in random order.

    Every border of every quantity is among them if `count` allows; a small draw tests several in
    one case. Two cases may be alike.

    Args:
        count: number of cases.
        max_bytes: of all cases together, as `call_bytes` counts; it is kept unless the smallest
            calls alone exceed it.
    """
    todo = {name: _list_todo(space, name, rng) for name in space.ranges}
    least = space.call_bytes(space.smallest)
    memory, shapes = _Memory(max_bytes - count * least, max_bytes // max(1, count)), []
    for done in range(count):
        shape = _draw_shape(space, rng, todo, memory, count - done)
        memory.left -= space.call_bytes(shape) - least
        shapes.append(shape)
    families = _spread_evenly(space.families, rng, count)
    order = rng.permutation(count)
    return [Combo(space.op, shapes[i], families[j], 1) for j, i in enumerate(order)]


def _list_todo(space: Space, name: str, rng: np.random.Generator) -> list[int]:
    """All borders of a quantity: those of integer widths first, large before small; then the rest
    in random order."""
    each = space.ranges[name]
    widths = each.list_widths()
    others = [size for size in each.list_borders() if size not in set(widths)]
    mixed = [others[i] for i in rng.permutation(len(others))]  # NumPy's integers end at 2^63.
    return [*reversed(widths), *mixed]


def _spread_evenly(names: Iterable[str], rng: np.random.Generator, count: int) -> list[str]:
    """Every name as often as every other, in random order."""
    known = list(names)
    rounds = -(-count // len(known))
    picks = [known[i] for _ in range(rounds) for i in rng.permutation(len(known))]
    return picks[:count]


@dataclass(slots=True)
class _Memory:
    """The memory of a draw, bytes."""

    left: int
    """For the cases that are not drawn yet."""
    share: int
    """One case's part of all, if all had the same."""


def _draw_shape(
    space: Space, rng: np.random.Generator, todo: dict[str, list[int]], memory: _Memory, cases: int
) -> dict[str, int]:
    """One shape; the borders that it contains are removed from `todo`.

    One quantity leads: it may use more memory than the others, and for a border or by a die all
    that a case may have at most.

    Args:
        todo: quantity -> borders that no case has yet.
        cases: number of cases that are not drawn yet.
    """
    shape = space.smallest
    most = min(space.max_bytes, int(MARGIN * memory.left))
    usual = min(most, int(memory.share * 2 ** rng.uniform(*SPREAD)))
    leading = most if rng.random() < FULL else min(most, LEAD * usual)
    several = 2 * sum(map(len, todo.values())) > cases
    drawn: list[int] = []
    for place, name in enumerate(_order_quantities(space, rng, todo, memory.share)):
        size = None
        if place == 0:
            owed = _list_owed_widths(space, name, todo)
            room = min(space.max_bytes, memory.left) if owed else most
            size = _take_border(space, shape, name, todo, room)
            if size is None:
                todo[name].clear()  # None will fit later: less memory is left then.
        elif several:
            size = _take_border(space, shape, name, todo, most)
        if size is None:
            cap = leading if place == 0 else max(usual, int(ROOM * space.call_bytes(shape)))
            limit = find_limit(space, shape, name, min(most, cap))
            size = _draw_alike(space.ranges[name], rng, drawn, limit)
            if size is None:
                size = draw_size(space.ranges[name], rng, limit)
        shape[name] = size
        drawn.append(size)
        if place == 0:  # From here on the borders that still must come keep their memory.
            kept = memory.left - _count_border_bytes(space, todo)
            most = max(space.call_bytes(shape), min(most, kept))
    return shape


def _count_border_bytes(space: Space, todo: Mapping[str, list[int]]) -> int:
    """Memory of the borders of integer widths that no case has yet, each in a call of its own."""
    return sum(
        space.call_bytes({**space.smallest, name: size})
        for name in todo
        for size in _list_owed_widths(space, name, todo)
    )


def _list_owed_widths(space: Space, name: str, todo: Mapping[str, list[int]]) -> set[int]:
    """Borders of integer widths of a quantity that no case has yet."""
    return set(space.ranges[name].list_widths()).intersection(todo[name])


def _order_quantities(
    space: Space, rng: np.random.Generator, todo: Mapping[str, list[int]], share: int
) -> list[str]:
    """All quantities in the order in which they are drawn.

    First the one with most borders to do, of integer widths above all; then, in random order, those
    of which a single large size exceeds a case's share of memory; then the rest.
    """

    def is_light(name: str) -> bool:
        return space.call_bytes({**space.smallest, name: space.ranges[name].high}) <= share

    names = [str(name) for name in rng.permutation(list(space.ranges))]
    widths = {name: len(_list_owed_widths(space, name, todo)) for name in names}
    return sorted(names, key=lambda name: (-widths[name], -len(todo[name]), is_light(name)))


def _take_border(
    space: Space, shape: Shape, name: str, todo: dict[str, list[int]], cap: int
) -> int | None:
    """Remove the first border of a quantity that fits, or return None."""
    for size in todo[name]:
        if space.call_bytes({**shape, name: size}) <= cap:
            todo[name].remove(size)
            return size
    return None


def find_limit(space: Space, shape: Shape, name: str, max_bytes: int) -> int:
    """The largest size of one quantity of a shape at which a call needs at most `max_bytes`."""
    each = space.ranges[name]
    low, high = each.low, each.high
    while low < high:
        middle = (low + high + 1) // 2
        if space.call_bytes({**shape, name: middle}) <= max_bytes:
            low = middle
        else:
            high = middle - 1
    return each.snap(low)


def draw_size(each: Range, rng: np.random.Generator, limit: int) -> int:
    """One size of a range, at most `limit`."""
    kind = rng.random()
    size = _draw_log_uniform(each.low, limit, rng)
    if PLAIN <= kind < BORDER:
        borders = [v for v in each.list_borders() if v <= max(limit, each.low)]
        return borders[rng.integers(len(borders))]
    if BORDER <= kind < POWER:
        size = 2 ** round(math.log2(max(1, size))) + int(rng.integers(-1, 2))
    elif kind >= POWER:
        block = int(rng.choice(MULTIPLES))
        size = max(1, round(size / block)) * block + int(rng.integers(-1, 2))
    return each.snap(min(size, limit))


def _draw_alike(
    each: Range, rng: np.random.Generator, drawn: list[int], limit: int
) -> int | None:
    """A size of the range that equals one drawn before, or is one beside it; rarely, else None."""
    if not drawn or rng.random() >= ALIKE:
        return None
    size = drawn[int(rng.integers(len(drawn)))] + int(rng.integers(-1, 2))
    return size if each.low <= size <= limit and each.holds(size) else None


def _draw_log_uniform(low: int, high: int, rng: np.random.Generator) -> int:
    """An integer of `low..high` whose logarithm is uniform; zero counts as half of one."""
    shift = 1 if low == 0 else 0
    drawn = math.exp(rng.uniform(math.log(low + shift), math.log(high + shift + 1)))
    return min(high, max(low, math.floor(drawn) - shift))


def find_space_problems(space: Space) -> list[str]:
    """Every fault of a space, one sentence each; empty if it is sound."""
    out = [] if space.bound.strip() else [f"space of '{space.op}': bound is empty"]
    if not space.families:
        out.append(f"space of '{space.op}' has no family")
    for name, each in space.ranges.items():
        label = f"space of '{space.op}', {name}"
        if not 0 <= each.low <= each.high:
            out.append(f"{label}: {each.low} to {each.high} is no range of sizes")
            continue
        if each.step < 1 or not all(map(each.holds, each.borders)):
            out.append(f"{label}: a border is not {each.low} plus a multiple of {each.step}")
        for size in each.list_borders():
            if (need := space.call_bytes({**space.smallest, name: size})) > space.max_bytes:
                out.append(f"{label}: {size} alone needs {need} bytes, above max_bytes")
    return out


def describe_size_class(shape: Shape) -> str:
    """Powers of ten between which each size lies: `m 10 to 99, n 10,000 to 99,999`."""
    return ", ".join(f"{name} {_name_decade(size)}" for name, size in shape.items())


def _name_decade(size: int) -> str:
    if size < 10:
        return "below 10"
    low: int = 10 ** (len(str(size)) - 1)
    return f"{low:,} to {10 * low - 1:,}"
