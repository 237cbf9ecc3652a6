"""The whole machinery on one light crate of Lance: the same code path as the full program."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from campaign_parts import FIRST, begin_campaign, record
from integrate.light_parts import ROOT, SHORT, make_kernel

from lance_autoresearch.campaign.recording import FinishedTrial
from lance_autoresearch.campaign.whole_queries import follow_keep, prepare_queries
from lance_autoresearch.cli.app import run_command_line
from lance_autoresearch.errors import MachineError
from lance_autoresearch.host.machine import list_cores
from lance_autoresearch.integrate import controls, meter
from lance_autoresearch.integrate.class_report import IntegrationReport
from lance_autoresearch.integrate.features import find_features
from lance_autoresearch.integrate.library import build_control
from lance_autoresearch.integrate.meter import CandidateAtFault, QueryMeter
from lance_autoresearch.integrate.server import Hook, ServerFault, start_server
from lance_autoresearch.integrate.state import read_state
from lance_autoresearch.integrate.verdict import Question, integrate_kernel
from lance_autoresearch.integrate.workspace import Workspace
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.records import Effect, Verdict


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


@pytest.mark.deep
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


TWICE = "let n = n.max(honest_i32(table, codes, off, out, out_off)?);"


@pytest.mark.timing
def test_a_keep_that_makes_queries_slower_is_demoted(light: Workspace, tmp_path: Path) -> None:
    mine, text = begin_campaign(tmp_path / "r"), make_kernel(TWICE)
    found = record(text, FIRST, Verdict.KEEP)
    done = FinishedTrial(mine.record_trial(found, text), found)
    measure = prepare_queries(ROOT, "fsst", lambda _: None, light.program)
    with Ledger.open(mine.root) as ledger:
        stands = follow_keep(ledger, mine, done, text, FIRST, measure)
    assert stands.record.verdict is Verdict.REVERT and "slower" in stands.record.reason
    assert mine.read_champion() == FIRST


@pytest.mark.timing
def test_a_kernel_that_works_twice_makes_queries_slower(light: Workspace) -> None:
    report = ask(light, TWICE, classes=("short",))
    assert list_effects(report) == {Effect.SLOWER}
    one = report.classes[0]
    assert one.predicted is not None and one.predicted < 0 and one.effect.high < -5.0
