"""What all tests of agents share."""

from __future__ import annotations

import itertools

import pytest

from lance_autoresearch.campaign import coordinator


@pytest.fixture(autouse=True)
def _judge_each_text_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without memory: several tests propose the same text in one checkout, and each wants its row.

    That a refused text is answered from memory is tested in tests/judge/test_memory.py.
    """
    numbers = itertools.count()
    monkeypatch.setattr(
        coordinator, "find_refusal_key", lambda *_: f"test {next(numbers)}"
    )
