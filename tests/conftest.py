"""Fixtures that several test files share, and the order in which files run."""

import os
from pathlib import Path

import pytest
from conductor_parts import bench

os.environ.setdefault("LAR_AHEAD", "0")
"""No process makes secret cases ahead unless a test asks for it: it would outlive the test."""

__all__ = ["bench"]

LONGEST_FIRST = (
    "test_rust_units",
    "test_hostile",
    "test_loop_ends",
    "test_light",
    "test_threats",
    "test_loop",
    "test_nothing_survives",
    "test_workspace",
    "test_agents_api",
    "test_box",
    "test_agents_acp",
    "test_secret_cases",
    "test_campaign_tier",
    "test_new",
    "test_driven_programs",
    "test_diff",
    "test_mcp",
    "test_near_misses",
    "test_conductor",
    "test_kill",
    "test_trial",
)
"""Files that take longest. A core runs whole files, so one that came last would run alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files named above first; the rest, and the tests of a file, stay in their order."""
    rank = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(Path(item.path).stem, len(rank)))
