"""Codes, codebooks and tables of an 8-bit product quantizer, from a seed.

    rng = np.random.default_rng(7)
    table = residual_table(rng, m=16, dsub=8)          # f32[16 * 256], squared distances
    codes = zipf_codes(rng, m=16, n=2048)              # u8[16 * 2048], column-major

CODES: uniform, skewed, clustered. DRAWN_CODES: the same kinds with drawn parameters, and mixed.
The same generator state gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from lance_autoresearch.fixtures.drawn import draw_log, draw_log_integer, mix, rearrange

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Floats = NDArray[np.float32]

CENTROIDS = 256
"""Centroids of one sub-vector of an 8-bit product quantizer."""


def uniform_codes(rng: Generator, m: int, n: int, used: int = CENTROIDS) -> Bytes:
    """Codes of `m` sub-vectors x `n` rows, each of `used` centroids equally likely. u8[m * n]."""
    if used == CENTROIDS:
        return rng.integers(0, CENTROIDS, m * n, dtype=np.uint8)
    known = rng.permutation(CENTROIDS)[:used].astype(np.uint8)
    return known[rng.integers(0, used, m * n)]


def zipf_codes(rng: Generator, m: int, n: int, exponent: float = 1.0) -> Bytes:
    """Centroid ranks follow Zipf's law, ranks differ by sub-vector. u8[m * n].

    Real codebooks are used unevenly: some centroids stand for dense regions.
    """
    weights = np.arange(1, CENTROIDS + 1) ** -exponent
    weights /= weights.sum()
    columns = [rng.permutation(CENTROIDS)[rng.choice(CENTROIDS, n, p=weights)] for _ in range(m)]
    return np.concatenate(columns).astype(np.uint8) if m else np.zeros(0, np.uint8)


def clustered_codes(
    rng: Generator, m: int, n: int, clusters: int = 32, shared: float = 0.7
) -> Bytes:
    """Rows belong to one of 32 clusters whose code they share with probability 0.7. u8[m * n].

    Rows of one IVF partition resemble one another, so their codes are correlated across
    sub-vectors; cluster sizes follow Zipf's law.
    """
    sizes = 1.0 / np.arange(1, clusters + 1)
    member = rng.choice(clusters, n, p=sizes / sizes.sum())
    centres = rng.integers(0, CENTROIDS, (m, clusters), dtype=np.uint8)
    free = rng.integers(0, CENTROIDS, (m, n), dtype=np.uint8)
    return np.where(rng.random((m, n)) < shared, centres[:, member], free).reshape(-1)


def drawn_uniform(rng: Generator, m: int, n: int) -> Bytes:
    """64 to 256 centroids, which ones is drawn. u8[m * n]."""
    return uniform_codes(rng, m, n, draw_log_integer(rng, 64, CENTROIDS))


def drawn_skewed(rng: Generator, m: int, n: int) -> Bytes:
    """Zipf's law with an exponent from 0.6 to 1.5. u8[m * n]."""
    return zipf_codes(rng, m, n, rng.uniform(0.6, 1.5))


def drawn_clustered(rng: Generator, m: int, n: int) -> Bytes:
    """8 to 128 clusters whose code is shared with probability 0.4 to 0.9. u8[m * n]."""
    return clustered_codes(rng, m, n, draw_log_integer(rng, 8, 128), rng.uniform(0.4, 0.9))


def drawn_mixed(rng: Generator, m: int, n: int) -> Bytes:
    """Two kinds side by side, sorted, half sorted, in runs or in repeated blocks. u8[m * n]."""
    kinds = [
        lambda rng, size: rng.integers(0, CENTROIDS, size, dtype=np.uint8),
        lambda rng, size: np.full(size, rng.integers(0, CENTROIDS), np.uint8),
        lambda rng, size: rng.integers(0, 8, size, dtype=np.uint8),
        lambda rng, size: rng.integers(248, CENTROIDS, size, dtype=np.uint8),
        lambda rng, size: np.minimum(rng.geometric(0.05, size), 255).astype(np.uint8),
    ]
    return rearrange(rng, mix(rng, m * n, kinds))


CODES: Mapping[str, Callable[[Generator, int, int], Bytes]] = {
    "uniform": uniform_codes,
    "skewed": zipf_codes,
    "clustered": clustered_codes,
}


DRAWN_CODES: Mapping[str, Callable[[Generator, int, int], Bytes]] = {
    "uniform": drawn_uniform,
    "skewed": drawn_skewed,
    "clustered": drawn_clustered,
    "mixed": drawn_mixed,
}


def residual_codebook(
    rng: Generator, m: int, dsub: int, *, scale: float = 1.0, spread: float = 0.3,
    shift: float = 0.0,
) -> Floats:  # fmt: skip
    """Centroids of `m` sub-vectors in `dsub` dimensions. f32[m * 256 * dsub].

    Residuals of an embedding (vector minus its IVF centroid) are close to Gaussian with one
    scale per dimension; k-means centroids keep about 0.8 of that scale.

    Args:
        scale: of all dimensions.
        spread: how much the scales of dimensions differ.
        shift: of all centroids, in units of the scale.
    """
    scales = scale * rng.lognormal(-2.0, spread, (m, 1, dsub))
    normal = rng.standard_normal((m, CENTROIDS, dsub), dtype=np.float32)
    return ((0.8 * scales).astype(np.float32) * (normal + np.float32(shift))).reshape(-1)


def residual_table(rng: Generator, m: int, dsub: int = 8) -> Floats:
    """L2 table of one query: squared distances to the centroids. f32[m * 256]."""
    centroids = residual_codebook(rng, m, dsub).reshape(m, CENTROIDS, dsub)
    query = np.float32(np.exp(-2.0)) * rng.standard_normal((m, 1, dsub), dtype=np.float32)
    table: Floats = np.square(query - centroids).sum(axis=2, dtype=np.float32)
    return table.reshape(-1)


def drawn_codebook(rng: Generator, m: int, dsub: int) -> tuple[Floats, float]:
    """Centroids with a drawn scale, spread and shift, and that scale."""
    scale = draw_log(rng, 1e-6, 1e6)
    spread, shift = rng.uniform(0.0, 0.9), rng.uniform(-3, 3)
    return residual_codebook(rng, m, dsub, scale=scale, spread=spread, shift=shift), scale


def drawn_table(rng: Generator, m: int) -> Floats:
    """Squared distances with drawn degrees of freedom, scale and shift. f32[m * 256]."""
    shape = draw_log(rng, 0.5, 64)
    cells = rng.standard_gamma(shape, m * CENTROIDS, dtype=np.float32)
    scales = rng.lognormal(0, rng.uniform(0, 1), (m, 1)).astype(np.float32)
    scales *= np.float32(draw_log(rng, 1e-9, 1e9))
    table: Floats = scales * (cells.reshape(m, CENTROIDS) + np.float32(rng.uniform(0, 4)))
    return table.reshape(-1)
