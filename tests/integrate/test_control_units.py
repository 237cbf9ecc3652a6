"""A control is compiled as the call site is: what is generic, in the crate that uses it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lance_autoresearch.errors import UpstreamError
from lance_autoresearch.integrate.library import read_control_units

ROOT = Path(__file__).parents[2]


def test_units_are_those_of_the_crate_that_compiles_the_call_site(tmp_path: Path) -> None:
    assert read_control_units(ROOT, "topk-merge") == 8
    assert read_control_units(ROOT, "predicate") == 1, "a default method, compiled in lance-index"
    assert read_control_units(ROOT, "fsst") == 1
    shutil.copytree(ROOT / "integrate", tmp_path / "integrate")
    manifest = tmp_path / "integrate" / "e2e" / "Cargo.toml"
    text = manifest.read_text()
    assert text.count("codegen-units = 8") == 1
    manifest.write_text(text.replace("codegen-units = 8", "codegen-units = 4"))
    place = tmp_path / "targets" / "topk-merge" / "integration" / "patch.toml"
    place.parent.mkdir(parents=True)
    place.write_text('compiled_in = "lance"\n')
    assert read_control_units(tmp_path, "topk-merge") == 4


def test_a_crate_without_units_of_its_own_is_refused(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "integrate", tmp_path / "integrate")
    place = tmp_path / "targets" / "x" / "integration" / "patch.toml"
    place.parent.mkdir(parents=True)
    place.write_text('compiled_in = "lance-select"\n')
    with pytest.raises(UpstreamError, match="no codegen units of its own") as refused:
        read_control_units(tmp_path, "x")
    assert refused.value.allowed == ("lance",) or list(refused.value.allowed or ()) == ["lance"]
