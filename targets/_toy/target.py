"""_toy: two small ops of our own writing, for tests and for the generic attacks.

No code of Lance is used: adapter.rs is the oracle. Pools are small and calls are short, so that a
trial takes about a second on any CPU. `lar targets` does not list it.

blend     out[i] = a polynomial of input[i], by Horner's rule: floats, as many as come in
compact   the bytes of the input that are not zero: a variable length
"""

import numpy as np

from lance_autoresearch.fixtures.floats import VALUES
from lance_autoresearch.targets.spec import Call, Combo, Op, Out, Target

WEIGHTS = 8
"""Coefficients of the polynomial."""
SIZES = {"blend": {256: 270, 1024: 1100}, "compact": {1024: 1100, 4096: 4400}}
"""Op -> size when timed -> size at confirmation."""
LENGTHS = (0, 1, 7, 8, 63, 64, 65, 200, 257, 1000, 4999)
"""Sizes that are only checked."""


def inputs(op, shape, dist, rng, calls, make):
    """Fresh data for each call. `sparse`: three bytes in four are zero."""
    n = shape["n"]
    for _ in range(calls):
        if op == "blend":
            weights = rng.standard_normal(WEIGHTS).astype(np.float32)
            yield Call((VALUES[dist](rng, n), weights), (4 * n,))
        else:
            high = 256 if dist == "dense" else 1024
            values = rng.integers(0, high, n)
            yield Call((np.where(values < 256, values, 0).astype(np.uint8),), (n,))


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
)
