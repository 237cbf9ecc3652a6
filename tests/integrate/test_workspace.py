"""What `lar integrate setup` makes: used only if it is finished and unchanged."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from integrate.light_parts import ROOT

from lance_autoresearch.cli.gc import drop_workspaces
from lance_autoresearch.errors import MachineError, UpstreamError, UsageError
from lance_autoresearch.integrate import setup
from lance_autoresearch.integrate.classes import load_classes, select_classes
from lance_autoresearch.integrate.library import build_library
from lance_autoresearch.integrate.setup import hold_workspace, list_drift, set_up
from lance_autoresearch.integrate.state import read_state, require_ready, write_state
from lance_autoresearch.integrate.workspace import HOME, Workspace, collect_files, load_pins
from lance_autoresearch.rules.policy import QUERIES


def test_a_finished_workspace_is_ready(copy: Workspace) -> None:
    assert require_ready(copy, ["short", "long"]).program


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        ("data/short/codes", "has changed"),
        ("target/release/lar-light", "not the one that was built"),
    ],
)
def test_a_changed_byte_is_noticed(copy: Workspace, file: str, fault: str) -> None:
    place = copy.home / file
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 1
    place.write_bytes(bytes(data))
    with pytest.raises(MachineError, match=fault):
        require_ready(copy, ["short"])


def test_missing_and_additional_files_of_a_dataset_are_noticed(copy: Workspace) -> None:
    (copy.data / "short" / "more").write_bytes(b"x")
    with pytest.raises(MachineError, match="has other files"):
        require_ready(copy, ["short"])
    shutil.rmtree(copy.data / "long")
    with pytest.raises(MachineError, match="never finished"):
        require_ready(copy, ["long"])


def test_other_sources_are_noticed(copy: Workspace) -> None:
    other = replace(copy, edits=(replace(copy.edits[0], before="// moved\n"),))
    with pytest.raises(MachineError, match="other sources"):
        require_ready(other, [])


def test_an_unreadable_state_is_no_state(copy: Workspace) -> None:
    (copy.home / "state.json").write_text('{"sources": "x"')
    with pytest.raises(MachineError, match="not set up"):
        require_ready(copy, [])


def test_a_changed_dataset_is_made_again_by_setup(copy: Workspace) -> None:
    """FSST draws random numbers of its own, so it is another dataset with another digest."""
    kept = read_state(copy).datasets["long"]
    (copy.data / "short" / "codes").write_bytes(b"x")
    said: list[str] = []
    set_up(copy, said.append)
    assert said == ["dataset short"]
    require_ready(copy, ["short", "long"])
    assert read_state(copy).datasets["long"] == kept


def test_a_second_one_at_once_is_refused(light: Workspace) -> None:
    with hold_workspace(light), pytest.raises(MachineError, match="another `lar integrate`"):
        set_up(light, lambda _: None)


def test_a_killed_setup_leaves_nothing_that_is_believed(
    light: Workspace, tmp_path: Path
) -> None:
    code = "from lance_autoresearch.cli.app import main; main()"
    words = [sys.executable, "-c", code, "integrate", "setup", "--program", "light"]
    environment = {**os.environ, HOME: str(tmp_path)}
    with subprocess.Popen(
        words, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert any(line.startswith("[2/") for line in lines)
        os.killpg(process.pid, signal.SIGKILL)
    space = replace(light, home=tmp_path / light.home.name)
    assert (space.home / "target").is_dir() and not read_state(space).program
    with pytest.raises(MachineError, match="not set up"):
        require_ready(space, [])


def test_too_small_a_disk_is_refused_before_anything_is_fetched(
    light: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "QUERIES", replace(QUERIES, disk_bytes=1 << 60))
    space = replace(light, program="e2e", home=tmp_path / "space")
    said: list[str] = []
    with pytest.raises(MachineError, match="of disk are needed"):
        set_up(space, said.append)
    assert "built once" in said[0] and not (space.home / "crates").exists()


def test_a_patch_that_does_not_apply_is_refused(light: Workspace, tmp_path: Path) -> None:
    moved = replace(light, edits=(replace(light.edits[0], anchor="let mut nothing = "),))
    with pytest.raises(UpstreamError, match="Lance moved"):
        collect_files(moved)
    gone = replace(light, edits=(replace(light.edits[0], file="src/gone.rs"),))
    with pytest.raises(UpstreamError, match=r"has no file src/gone\.rs"):
        collect_files(gone)


def test_pins_are_of_the_release_of_the_oracle(tmp_path: Path) -> None:
    shutil.copy(ROOT / "upstream.toml", tmp_path)
    (tmp_path / "integrate").mkdir()
    (tmp_path / "integrate" / "pins.toml").write_text('version = "13.0.0"\n[archives]\n')
    with pytest.raises(UpstreamError, match=r"is of release 13\.0\.0"):
        load_pins(tmp_path)


def test_versions_are_those_that_lance_ships(light: Workspace) -> None:
    lock = (light.source / "Cargo.lock").read_text()
    assert list_drift(lock, lock, "") == []
    package = next(p for p in tomllib.loads(lock)["package"] if p.get("checksum"))
    other = lock.replace(package["checksum"], "0" * 64)
    assert list_drift(lock, other, "") == [f"{package['name']} {package['version']}"]


def test_the_crate_that_ships_the_versions_may_come_from_the_registry() -> None:
    shipped = '[[package]]\nname = "lance"\nversion = "14.0.2"\n'
    used = f'{shipped}source = "registry+x"\nchecksum = "1a"\n'
    assert list_drift(shipped, used, "1a") == []
    assert list_drift(shipped, used, "2b") == ["lance 14.0.2"]
    assert list_drift(shipped, used.replace("14.0.2", "14.0.3"), "1a") == ["lance 14.0.3"]


def test_a_state_survives_writing(copy: Workspace) -> None:
    state = read_state(copy)
    write_state(copy, state)
    assert read_state(copy) == state


def test_doctor_says_what_is_there(
    light: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME, str(tmp_path))
    assert setup.describe_readiness(ROOT) == (False, f"Lance {light.version} is not built here")
    full = replace(light, home=tmp_path / light.version)
    with hold_workspace(full):
        ready, found = setup.describe_readiness(ROOT)
    assert not ready and "being built (0 crates so far)" in found


def test_gc_drops_a_workspace_unless_it_is_used(
    copy: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME, str(copy.home.parent))
    would = drop_workspaces(ROOT, dry_run=True)
    assert copy.home.is_dir() and would > 1 << 20
    with hold_workspace(copy), pytest.raises(MachineError, match="another"):
        drop_workspaces(ROOT, dry_run=False)
    assert copy.home.is_dir()
    assert drop_workspaces(ROOT, dry_run=False) > 1 << 20 and not copy.home.exists()


def test_targets_name_classes_that_the_programs_have(light: Workspace) -> None:
    assert load_classes(ROOT, "fsst", "light").all == tuple(setup.list_classes(light))
    text = (ROOT / "integrate" / "e2e" / "src" / "classes.rs").read_text()
    for target in ("dictionary", "fsst", "pq-l2", "topk-merge"):
        for name in load_classes(ROOT, target, "e2e").all:
            assert f'"{name}"' in text


def test_unknown_classes_and_targets_are_refused() -> None:
    plan = load_classes(ROOT, "fsst", "e2e")
    other = load_classes(ROOT, "pq-l2", "e2e")
    assert select_classes([plan], (), False) == (plan.main,)
    assert select_classes([plan, other], (), False) == (plan.main, other.main)
    assert select_classes([plan, other, plan], (), True) == (*plan.all, *other.all)
    assert select_classes([plan, other], ("pq128-n1",), True) == ("pq128-n1",)
    with pytest.raises(UsageError, match="no class 'x'"):
        select_classes([plan], ("x",), False)
    with pytest.raises(UsageError, match="has no table"):
        load_classes(ROOT, "pq-l2", "light")
    with pytest.raises(UsageError, match="has no integration"):
        build_library(ROOT, "_toy", b"")
