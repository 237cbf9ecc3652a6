"""pq-l2's own generators: codes, codebooks and tables."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lance_autoresearch.targets import catalogue

d = catalogue.load_fixtures(Path(__file__).resolve().parents[2], "pq-l2")


def rng(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", d.CODES)
def test_codes_are_bytes_of_m_columns_by_n_rows(name: str) -> None:
    codes = d.CODES[name](rng(), 5, 301)
    assert codes.dtype == np.uint8
    assert codes.shape == (5 * 301,)
    assert codes.flags.c_contiguous
    assert d.CODES[name](rng(), 5, 0).size == 0


@pytest.mark.parametrize("name", d.CODES)
def test_codes_of_two_seeds_differ(name: str) -> None:
    assert d.CODES[name](rng(1), 4, 100).tobytes() == d.CODES[name](rng(1), 4, 100).tobytes()
    assert d.CODES[name](rng(1), 4, 100).tobytes() != d.CODES[name](rng(2), 4, 100).tobytes()


def test_skewed_codes_follow_zipf_and_rank_each_column_anew() -> None:
    columns = d.zipf_codes(rng(), 3, 20_000).reshape(3, -1)
    tops = [Counter(c.tolist()).most_common(1)[0] for c in columns]
    harmonic = (1 / np.arange(1, 257)).sum()
    assert all(abs(count / 20_000 * harmonic - 1) < 0.1 for _, count in tops)
    assert len({code for code, _ in tops}) > 1


def test_clustered_rows_repeat_across_columns() -> None:
    columns = d.clustered_codes(rng(), 2, 20_000).reshape(2, -1)
    pairs = Counter(zip(*columns.tolist(), strict=True))
    assert pairs.most_common(1)[0][1] > 1_000  # independent columns would give about 1


def test_a_residual_table_is_squared_distances() -> None:
    table = d.residual_table(rng(), 16)
    assert table.shape == (16 * 256,)
    assert (table > 0).all()
    assert np.isfinite(table).all()
