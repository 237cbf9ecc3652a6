"""The whole machinery on one light crate of Lance: the same code path as the full program."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from integrate.light_parts import ROOT, find_light, make_kernel

from lance_autoresearch.cli.app import run_command_line
from lance_autoresearch.errors import MachineError, UpstreamError, UsageError
from lance_autoresearch.host.machine import list_cores
from lance_autoresearch.integrate import controls, meter, server, setup, verdict
from lance_autoresearch.integrate.classes import load_classes, select_classes
from lance_autoresearch.integrate.features import find_features
from lance_autoresearch.integrate.library import build_control, build_library
from lance_autoresearch.integrate.meter import CandidateAtFault, QueryMeter
from lance_autoresearch.integrate.server import Hook, ServerFault, start_server
from lance_autoresearch.integrate.setup import hold_workspace, list_drift, set_up
from lance_autoresearch.integrate.state import read_state, require_ready, write_state
from lance_autoresearch.integrate.verdict import IntegrationReport, Question, integrate_kernel
from lance_autoresearch.integrate.workspace import HOME, Workspace, collect_files, load_pins
from lance_autoresearch.records import Effect
from lance_autoresearch.rules.policy import QUERIES

SHORT = replace(QUERIES, max_pairs=8, rounds=1, block_ms=2.0, quiet_looks=0, reply_seconds=5.0)
"""Fewer and shorter blocks: what is tested here does not depend on times."""


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


def ask(space: Workspace, twist: str, **more: object) -> IntegrationReport:
    kernels = {"fsst": make_kernel(twist)}
    question = Question(space, kernels, ("short", "long"))
    return integrate_kernel(replace(question, **more), lambda _: None)  # type: ignore[arg-type]


def list_effects(report: IntegrationReport) -> set[Effect]:
    return {one.effect.effect for one in report.classes}


def test_an_equal_kernel_is_reached_and_every_answer_is_compared(
    light: Workspace, quick: None
) -> None:
    report = ask(light, "")
    assert not list_effects(report) & {Effect.DIFFERS, Effect.FAILED, Effect.NOT_REACHED}
    assert report.compared > 100 and not report.fault
    for one in report.classes:
        assert {call.op: call.calls > 0 for call in one.lance} == {
            "decompress_i32": True, "decompress_i64": False, "decode_chunk": False,
        }  # fmt: skip
        assert 0.05 < one.share < 1.0 and one.predicted is not None
        assert sum(one.candidate[0].sizes[0]) == one.candidate[0].calls == 40 * 40
    assert min(report.peak_memory) > 1 << 20


def test_one_wrong_answer_among_hundreds_is_found(light: Workspace, quick: None) -> None:
    rare = "if codes.iter().map(|&c| u32::from(c)).sum::<u32>() % 199 == 5 { out[0].write(b'#'); }"
    report = ask(light, rare)
    assert list_effects(report) == {Effect.DIFFERS}
    assert "another answer than Lance's" in report.fault


def test_a_kernel_that_ends_the_process_fails(light: Workspace, quick: None) -> None:
    report = ask(light, 'if codes.len() > 5 { panic!("out of luck") }')
    assert list_effects(report) == {Effect.FAILED} and "the process ended" in report.fault


def test_a_kernel_that_never_returns_fails(light: Workspace, quick: None) -> None:
    report = ask(light, "if codes.len() > 5 { loop { std::hint::spin_loop() } }")
    assert list_effects(report) == {Effect.FAILED} and "no answer within" in report.fault


def test_a_kernel_cannot_answer_for_the_program(light: Workspace, quick: None) -> None:
    """It writes a reply with a time of its own; the request's secret word is missing."""
    early = 'use std::io::Write; let _ = std::io::stdout().write_all(b"done 1 1\\n");'
    report = ask(light, f"{{ {early} let _ = std::io::stdout().flush(); }}")
    assert list_effects(report) == {Effect.FAILED}
    assert "something else than the program answered" in report.fault


def test_a_kernel_cannot_write_where_others_read(
    light: Workspace, quick: None, tmp_path: Path
) -> None:
    """The dataset is read-only; elsewhere it writes to a root of its own, which goes with it."""
    codes = light.data / "short" / "codes"
    hidden = [ROOT / ".lar" / "evil", tmp_path / "evil", Path.home() / ".evil"]
    tries = f'if std::fs::write("{codes}", b"x").is_ok() {{ out[0].write(b\'#\'); }}'
    tries += " ".join(f'let _ = std::fs::write("{place}", b"x");' for place in hidden)
    before = codes.read_bytes()
    report = ask(light, tries)
    assert not list_effects(report) & {Effect.DIFFERS, Effect.FAILED}
    assert codes.read_bytes() == before
    assert not any(place.exists() for place in hidden)


def test_a_kernel_cannot_read_the_checkout_nor_reach_the_network(
    light: Workspace, quick: None
) -> None:
    readme = ROOT / "README.md"
    tries = f'std::fs::read("{readme}").is_ok()'
    report = ask(light, f"if {tries} {{ out[0].write(b'#'); }}")
    assert readme.is_file() and not list_effects(report) & {Effect.DIFFERS, Effect.FAILED}
    bind = 'std::net::UdpSocket::bind("0.0.0.0:0")'
    connect = f'{bind}.and_then(|s| s.connect("192.0.2.1:9")).is_ok()'
    report = ask(light, f"if {connect} {{ out[0].write(b'#'); }}")
    assert not list_effects(report) & {Effect.DIFFERS, Effect.FAILED}


def test_an_op_that_no_query_calls_gives_no_figure(light: Workspace, quick: None) -> None:
    report = ask(light, "", ops=("decode_chunk",))
    assert list_effects(report) == {Effect.NOT_REACHED} and report.comparison is None
    assert all(one.effect.pairs == 0 for one in report.classes)


def test_a_library_that_cannot_be_loaded_is_the_candidates_fault(
    light: Workspace, quick: None, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"\x7fELF nothing")
    core, features = list_cores()[-1], find_features()
    hooks = [Hook("fsst", broken)]
    one = QueryMeter(light, ["short"], b=hooks, core=core, features=features)
    with pytest.raises(CandidateAtFault, match="cannot be loaded"):
        one.measure_pair()
    other = QueryMeter(light, ["short"], a=hooks, core=core, features=features)
    with pytest.raises(MachineError, match="cannot be loaded"):
        other.measure_pair()


def test_a_wrong_op_or_target_is_refused_by_the_program(light: Workspace) -> None:
    library = build_control(ROOT, "fsst")
    core = list_cores()[-1]
    for hook, fault in (
        (Hook("hamming", library), "no such target"),
        (Hook("fsst", library, ("decompress_i32", "unknown")), None),
    ):
        try:
            with start_server(light, ["short"], hooks=[hook], core=core, features=0) as one:
                assert fault is None and one.run_queries("short", 0, 1) > 0
                with pytest.raises(ServerFault, match="not open"):
                    one.run_queries("nothing", 0, 1)
                with pytest.raises(ServerFault, match="unknown request"):
                    one.ask("dance")
        except ServerFault as error:
            assert fault is not None and fault in str(error)


def test_controls_are_measured_once_and_reused(
    light: Workspace, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "LIMITS", replace(meter.LIMITS, foreign_share=10.0))
    (light.home / "controls.json").unlink(missing_ok=True)
    state, hook = read_state(light), Hook("fsst", build_control(ROOT, "fsst"))
    said: list[str] = []

    def ensure(**more: object) -> dict[str, controls.Control]:
        return controls.ensure_controls(
            light, state, hook, ["short"], core=list_cores()[-1],
            features=find_features(), say=said.append,
        )  # fmt: skip

    first = ensure()
    assert len(said) == 1 and ensure() == first and len(said) == 1
    later = replace(SHORT, control_seconds=0.0)
    monkeypatch.setattr(controls, "QUERIES", later)
    time.sleep(0.01)
    assert ensure()["short"].when > first["short"].when and len(said) == 2


def test_the_command_prints_a_table_and_an_object(
    light: Workspace, quick: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kernel = tmp_path / "kernels.rs"
    kernel.write_bytes((ROOT / "targets" / "fsst" / "kernel" / "kernels.rs").read_bytes())
    words = ["integrate", "fsst", "--program", "light", "--kernel", str(kernel)]
    assert run_command_line(words) in (0, 1, 4)
    assert "queries were answered by both and compared" in capsys.readouterr().out
    assert run_command_line([*words, "--json"]) in (0, 1, 4)
    body = json.loads(capsys.readouterr().out)
    assert body["classes"][0]["class"] == "short" and body["compared"] > 0
    assert body["program"] == read_state(light).program


def test_shapes_show_what_queries_call(
    light: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["integrate", "shapes", "fsst", "--program", "light"]) == 0
    out = capsys.readouterr().out
    assert "short decompress_i32: 1600 calls, codes" in out and "what trials time:" in out


# --- what was never finished, or has changed, is not used -----------------------------------


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
    assert list_drift(lock, lock) == []
    package = next(p for p in tomllib.loads(lock)["package"] if p.get("checksum"))
    other = lock.replace(package["checksum"], "0" * 64)
    assert list_drift(lock, other) == [f"{package['name']} {package['version']}"]


def test_a_state_survives_writing(copy: Workspace) -> None:
    state = read_state(copy)
    write_state(copy, state)
    assert read_state(copy) == state


# --- what may be asked ----------------------------------------------------------------------


def test_targets_name_classes_that_the_programs_have(light: Workspace) -> None:
    assert load_classes(ROOT, "fsst", "light").all == tuple(setup.list_classes(light))
    text = (ROOT / "integrate" / "e2e" / "src" / "classes.rs").read_text()
    for target in ("fsst", "pq-l2", "topk-merge"):
        for name in load_classes(ROOT, target, "e2e").all:
            assert f'"{name}"' in text


def test_unknown_classes_and_targets_are_refused() -> None:
    plan = load_classes(ROOT, "fsst", "e2e")
    assert select_classes(plan, (), False) == (plan.main,)
    assert select_classes(plan, (), True) == plan.all
    with pytest.raises(UsageError, match="no class 'x'"):
        select_classes(plan, ("x",), False)
    with pytest.raises(UsageError, match="has no table"):
        load_classes(ROOT, "pq-l2", "light")
    with pytest.raises(UsageError, match="has no integration"):
        build_library(ROOT, "_toy", b"")


@pytest.mark.timing
def test_a_kernel_that_works_twice_makes_queries_slower(light: Workspace) -> None:
    twice = "let n = n.max(honest_i32(table, codes, off, out, out_off)?);"
    report = ask(light, twice, classes=("short",))
    assert list_effects(report) == {Effect.SLOWER}
    one = report.classes[0]
    assert one.predicted is not None and one.predicted < 0 and one.effect.high < -5.0
