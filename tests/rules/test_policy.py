"""What a session's noise makes of the numbers of pairs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lance_autoresearch.rules.policy import DEFAULT


@pytest.mark.parametrize(
    ("sd", "most", "confirm"), [(0.001, 40, 16), (0.0075, 40, 16), (0.009, 58, 23), (0.02, 80, 32)]
)
def test_noisier_sessions_may_take_more_pairs(sd: float, most: int, confirm: int) -> None:
    """As many as keep the standard error of their mean, up to twice as many."""
    policy = DEFAULT.adapt_to_noise(sd)
    assert (policy.max_pairs, policy.confirm_pairs) == (most, confirm)
    assert policy == replace(DEFAULT, max_pairs=most, confirm_pairs=confirm)
