"""The light workspace, and copies of it that a test may spoil."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from integrate.light_parts import SHORT, find_light

from lance_autoresearch.integrate import controls, meter, server, verdict
from lance_autoresearch.integrate.setup import set_up
from lance_autoresearch.integrate.workspace import Workspace


@pytest.fixture(scope="module")
def light() -> Workspace:
    space = find_light()
    set_up(space, lambda _: None)
    return space


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing here is a figure, so it need not wait for the machine."""
    monkeypatch.setenv("LAR_LOCK_DIR", str(tmp_path_factory.getbasetemp()))
    for module in (controls, meter, server, verdict):
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
