"""The light workspace, and copies of it that a test may spoil."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from integrate.light_parts import SHORT, find_light

from lance_autoresearch.integrate import class_report, controls, meter, pairs, server
from lance_autoresearch.integrate.setup import set_up
from lance_autoresearch.integrate.workspace import Workspace


@pytest.fixture
def light() -> Iterator[Workspace]:
    """The light workspace, for one test at a time: test files run side by side."""
    space = find_light()
    space.home.parent.mkdir(parents=True, exist_ok=True)
    with space.home.with_suffix(".tests").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        set_up(space, lambda _: None)
        yield space


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing here is a figure, so it need not wait for the machine."""
    monkeypatch.setenv("LAR_LOCK_DIR", str(tmp_path_factory.getbasetemp()))
    for module in (class_report, controls, meter, pairs, server):
        monkeypatch.setattr(module, "QUERIES", SHORT)


@pytest.fixture
def copy(light: Workspace, tmp_path: Path) -> Workspace:
    """A workspace of its own with the finished program and datasets."""
    home = tmp_path / light.home.name
    shutil.copytree(light.data, home / "data")
    place = home / "target" / "release" / light.binary.name
    place.parent.mkdir(parents=True)
    shutil.copy(light.binary, place)
    shutil.copy(light.home / "state.json", home)
    return replace(light, home=home)
