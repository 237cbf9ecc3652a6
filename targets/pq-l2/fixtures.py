"""Codes, codebooks and tables of an 8-bit product quantizer, from a seed.

    rng = np.random.default_rng(7)
    table = residual_table(rng, m=16, dsub=8)          # f32[16 * 256], squared distances
    codes = zipf_codes(rng, m=16, n=2048)              # u8[16 * 2048], column-major

CODES: uniform, skewed, clustered. The same generator state gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Floats = NDArray[np.float32]

CENTROIDS = 256
"""Centroids of one sub-vector of an 8-bit product quantizer."""


def uniform_codes(rng: Generator, m: int, n: int) -> Bytes:
    """Codes of `m` sub-vectors x `n` rows, every centroid equally likely. u8[m * n]."""
    return rng.integers(0, CENTROIDS, m * n, dtype=np.uint8)


def zipf_codes(rng: Generator, m: int, n: int) -> Bytes:
    """Centroid ranks follow Zipf's law (exponent 1), ranks differ by sub-vector. u8[m * n].

    Real codebooks are used unevenly: some centroids stand for dense regions.
    """
    ranks = np.arange(1, CENTROIDS + 1)
    weights = 1.0 / ranks / (1.0 / ranks).sum()
    columns = [rng.permutation(CENTROIDS)[rng.choice(CENTROIDS, n, p=weights)] for _ in range(m)]
    return np.concatenate(columns).astype(np.uint8) if m else np.zeros(0, np.uint8)


def clustered_codes(rng: Generator, m: int, n: int) -> Bytes:
    """Rows belong to one of 32 clusters whose code they share with probability 0.7. u8[m * n].

    Rows of one IVF partition resemble one another, so their codes are correlated across
    sub-vectors; cluster sizes follow Zipf's law.
    """
    sizes = 1.0 / np.arange(1, 33)
    member = rng.choice(32, n, p=sizes / sizes.sum())
    centres = rng.integers(0, CENTROIDS, (m, 32), dtype=np.uint8)
    free = rng.integers(0, CENTROIDS, (m, n), dtype=np.uint8)
    return np.where(rng.random((m, n)) < 0.7, centres[:, member], free).reshape(-1)


CODES: Mapping[str, Callable[[Generator, int, int], Bytes]] = {
    "uniform": uniform_codes,
    "skewed": zipf_codes,
    "clustered": clustered_codes,
}


def residual_codebook(rng: Generator, m: int, dsub: int) -> Floats:
    """Centroids of `m` sub-vectors in `dsub` dimensions. f32[m * 256 * dsub].

    Residuals of an embedding (vector minus its IVF centroid) are close to Gaussian with one
    scale per dimension; k-means centroids keep about 0.8 of that scale.
    """
    scale = rng.lognormal(-2.0, 0.3, (m, 1, dsub))
    return (0.8 * scale * rng.standard_normal((m, CENTROIDS, dsub))).astype(np.float32).reshape(-1)


def residual_table(rng: Generator, m: int, dsub: int = 8) -> Floats:
    """L2 table of one query: squared distances to the centroids. f32[m * 256]."""
    centroids = residual_codebook(rng, m, dsub).reshape(m, CENTROIDS, dsub)
    query = np.float32(np.exp(-2.0)) * rng.standard_normal((m, 1, dsub), dtype=np.float32)
    table: Floats = np.square(query - centroids).sum(axis=2, dtype=np.float32)
    return table.reshape(-1)
