"""_toy: two small ops of our own writing, for tests and for the generic attacks.

No code of Lance is used: adapter.rs is the oracle. Pools are small and calls are short, so that a
trial takes about a second on any CPU. `lar targets` does not list it.

blend     out[i] = a polynomial of input[i], by Horner's rule: floats, as many as come in
compact   the bytes of the input that are not zero: a variable length
"""

import numpy as np

from lance_autoresearch.fixtures.drawn import mix, move_scale, rearrange
from lance_autoresearch.fixtures.floats import VALUES
from lance_autoresearch.targets.space import Range, Space
from lance_autoresearch.targets.spec import DRAWN, Call, Combo, Op, Out, Target

WEIGHTS = 8
"""Coefficients of the polynomial."""
SIZES = {"blend": {256: 270, 1024: 1100}, "compact": {1024: 1100, 4096: 4400}}
"""Op -> size when timed -> size at confirmation."""
LENGTHS = (0, 1, 7, 8, 63, 64, 65, 200, 257, 1000, 4999)
"""Sizes that are only checked."""


def inputs(op, shape, dist, rng, calls, make):
    """Fresh data for each call. `sparse`: three bytes in four are zero."""
    drawn, kind = dist.startswith(DRAWN), dist.removeprefix(DRAWN)
    for _ in range(calls):
        make_call = blend_call if op == "blend" else compact_call
        yield make_call(shape["n"], kind, drawn, rng)


def blend_call(n, kind, drawn, rng):
    """`drawn`: another scale, another order; `mixed`: two kinds of floats."""
    if kind == "mixed":
        values = rearrange(rng, mix(rng, n, list(VALUES.values())))
    else:
        values = move_scale(rng, VALUES[kind](rng, n), 1e3) if drawn else VALUES[kind](rng, n)
    return Call((values, rng.standard_normal(WEIGHTS).astype(np.float32)), (4 * n,))


def compact_call(n, kind, drawn, rng):
    """`drawn`: another share of zeros; `mixed`: two shares, in another order."""
    dense, sparse = 1 / 256, 3 / 4
    if drawn:
        dense, sparse = rng.uniform(0, 0.2), rng.uniform(0.4, 1.0)

    def draw_bytes(zeros):
        return lambda rng, n: np.where(rng.random(n) < zeros, 0, rng.integers(1, 256, n))

    kinds = {"dense": draw_bytes(dense), "sparse": draw_bytes(sparse)}
    if kind == "mixed":
        return Call((rearrange(rng, mix(rng, n, list(kinds.values()))).astype(np.uint8),), (n,))
    return Call((kinds[kind](rng, n).astype(np.uint8),), (n,))


BOUND = "any size; it ends at 2^17 since a check must be short"
DRAWN_BYTES = tuple(DRAWN + kind for kind in ("dense", "sparse", "mixed"))
DRAWN_FLOATS = tuple(DRAWN + kind for kind in (*VALUES, "mixed", "mixed"))
SPACES = (
    Space("blend", {"n": Range(0, 1 << 17)}, DRAWN_FLOATS,
          max_bytes=2 << 20, bound=BOUND, call_bytes=lambda shape: 64 + 8 * shape["n"]),
    Space("compact", {"n": Range(0, 1 << 17)}, DRAWN_BYTES,
          max_bytes=1 << 20, bound=BOUND, call_bytes=lambda shape: 64 + 2 * shape["n"]),
)  # fmt: skip


def combos(op, dists):
    """Every distribution at both timed sizes."""
    return [
        Combo(op, {"n": n}, dist, calls=8, confirm={"n": second})
        for n, second in SIZES[op].items()
        for dist in dists
    ]


TARGET = Target(
    name="_toy",
    summary="two ops of our own for tests and generic attacks",
    call_site="targets/_toy/adapter.rs:5",
    cost="none: nothing of Lance calls it",
    ops=(Op("blend", (Out("f32", "bits32"),)), Op("compact", (Out("u8"),))),
    timed=(*combos("blend", ["gaussian"]), *combos("compact", ["dense"])),
    checks=(
        *(Combo("blend", {"n": n}, d, 2) for n in LENGTHS for d in ("wide", "specials")),
        *(Combo("compact", {"n": n}, d, 2) for n in LENGTHS for d in ("dense", "sparse")),
    ),
    inputs=inputs,
    spaces=SPACES,
)
