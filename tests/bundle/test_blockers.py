"""What keeps a bundle from being sent: each reason alone, from records that a test writes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lance_autoresearch.bundle.blockers import (
    OVERLAPS,
    BlockerKind,
    list_blockers,
    load_overlaps,
    select_machines,
)
from lance_autoresearch.bundle.gates import GateResult, GateState
from lance_autoresearch.bundle.parts import NAMES, TITLE, Part, answer_questions
from lance_autoresearch.calibration.machine_records import load_records, save_record
from lance_autoresearch.cli.app import run_command_line as lar
from lance_autoresearch.errors import UsageError
from lance_autoresearch.judge.job import hash_text
from lance_autoresearch.targets.champion import read_champion

ROOT = Path(__file__).resolve().parents[2]
TARGET = "fsst"


@pytest.fixture
def settled(tmp_path: Path) -> Path:
    """A checkout in which nothing is unsettled for the target: two kinds, a faster query class."""
    shutil.copytree(ROOT / "targets" / TARGET, tmp_path / "targets" / TARGET)
    shutil.copy(ROOT / OVERLAPS, tmp_path)
    shutil.copy(ROOT / "upstream.toml", tmp_path)
    first = next(r for r in load_records(ROOT) if r.target == TARGET)
    first = replace(first, champion=champion(), tiers={
        tier: replace(result, combos=tuple(replace(c, gain=9.0, low=8.0, high=10.0)
                                           for c in result.combos))
        for tier, result in first.tiers.items()
    })  # fmt: skip
    for kind in ("zen3", "sapphirerapids"):
        save_record(tmp_path, replace(first, machine={**first.machine, "cpu_kind": kind}))
    write_queries(tmp_path, "faster")
    return tmp_path


def champion() -> str:
    text = read_champion(ROOT, TARGET)
    assert text is not None
    return hash_text(text)


def write_queries(root: Path, *effects: str, fault: str = "") -> None:
    classes = [{"class": f"scan-{i}", "effect": effect, "gain": 9.0, "low": 8.0, "high": 10.0}
               for i, effect in enumerate(effects)]  # fmt: skip
    report = {"fault": fault, "classes": classes, "compared": 1, "peak_memory": [1, 1]}
    place = root / "records" / "integration" / f"{TARGET}-zen3.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps({
        "targets": [TARGET], "champions": {TARGET: champion()}, "cpu_kind": "zen3",
        "date": "2026-11-30", "lance": "14.0.2", "report": report,
    }))  # fmt: skip


def kinds(root: Path, *gates: GateResult) -> list[BlockerKind]:
    return [blocker.kind for blocker in list_blockers(root, TARGET, gates)]


def test_what_is_settled_has_no_blocker(settled: Path) -> None:
    assert kinds(settled, GateResult("fmt", GateState.PASSED, "", "")) == []


@pytest.mark.parametrize("state", [GateState.FAILED, GateState.MISSING])
def test_a_check_that_did_not_pass(settled: Path, state: GateState) -> None:
    assert kinds(settled, GateResult("fmt", state, "", "")) == [BlockerKind.GATE]


def test_no_verdict_in_whole_queries(settled: Path) -> None:
    shutil.rmtree(settled / "records" / "integration")
    assert kinds(settled) == [BlockerKind.END_TO_END]


@pytest.mark.parametrize("effect", ["slower", "answers differ", "failed"])
def test_a_query_class_that_is_not_fit(settled: Path, effect: str) -> None:
    write_queries(settled, "faster", effect)
    assert kinds(settled) == [BlockerKind.END_TO_END]


def test_no_query_class_is_faster(settled: Path) -> None:
    write_queries(settled, "no change", "not reached")
    assert kinds(settled) == [BlockerKind.END_TO_END]


def test_a_verdict_of_an_older_champion_does_not_count(settled: Path) -> None:
    kernel = settled / "targets" / TARGET / "kernel" / "kernels.rs"
    kernel.write_text(kernel.read_text() + "\n// newer\n")
    assert set(kinds(settled)) == {BlockerKind.END_TO_END, BlockerKind.CPU_KINDS}


def test_one_kind_of_processor_is_not_enough(settled: Path) -> None:
    shutil.rmtree(settled / "records" / "machines" / "sapphirerapids")
    assert kinds(settled) == [BlockerKind.CPU_KINDS]


def test_the_same_processor_with_less_is_the_same_kind(settled: Path) -> None:
    shutil.rmtree(settled / "records" / "machines" / "sapphirerapids")
    one = select_machines(settled, TARGET)["zen3"]
    save_record(settled, replace(one, machine={**one.machine, "cpu_kind": "zen3-avx2"}))
    assert kinds(settled) == [BlockerKind.CPU_KINDS]


def test_a_combo_that_is_slower_on_one_kind(settled: Path) -> None:
    one = select_machines(settled, TARGET)["sapphirerapids"]
    native = one.tiers["native"]
    worse = replace(native.combos[0], gain=-4.0, low=-5.0, high=-3.0)
    tiers = {**one.tiers, "native": replace(native, combos=(worse, *native.combos[1:]))}
    save_record(settled, replace(one, tiers=tiers))
    (blocker,) = list_blockers(settled, TARGET, ())
    assert blocker.kind is BlockerKind.SLOWER
    assert worse.combo.label in blocker.what and "sapphirerapids" in blocker.what


def test_an_open_request_until_a_person_settles_it(settled: Path) -> None:
    path = settled / OVERLAPS
    path.write_text(path.read_text().replace('targets = ["topk-merge"]', f'targets = ["{TARGET}"]'))
    (blocker,) = list_blockers(settled, TARGET, ())
    assert blocker.kind is BlockerKind.OVERLAP and "9190" in blocker.what
    path.write_text(path.read_text() + 'settled = "another function"\n')
    assert kinds(settled) == []


def test_the_list_of_overlaps_names_targets_that_exist_and_a_faulty_one_is_refused(
    tmp_path: Path,
) -> None:
    found = load_overlaps(ROOT)
    assert {one.request for one in found} >= {9230, 7659, 9190}
    assert all((ROOT / "targets" / name).is_dir() for one in found for name in one.targets)
    (tmp_path / OVERLAPS).write_text("[[overlap]]\nnumber = 1\n")
    with pytest.raises(UsageError, match="cannot be read"):
        load_overlaps(tmp_path)


@pytest.mark.parametrize(
    ("title", "passes"),
    [
        ("perf(encoding): decode FSST strings as one stream of codes", True),
        ("Perf(encoding): decode strings faster", False),
        ("perf(encoding): decode strings faster.", False),
        ("decode FSST strings as one stream of codes", False),
    ],
)
def test_titles_pass_a_conventional_commits_linter(title: str, passes: bool) -> None:
    assert (TITLE.fullmatch(title) is not None) == passes


def test_a_question_whose_part_lacks_something_is_not_answered() -> None:
    whole = [Part(number, name, (f"{number}.md",)) for number, name in NAMES.items()]
    assert not any("not answered" in answer for _, answer in answer_questions(whole))
    lacking = [replace(part, missing=("no A/A row",)) if part.number == 4 else part
               for part in whole]  # fmt: skip
    open_questions = [q for q, answer in answer_questions(lacking) if "not answered" in answer]
    assert [q.word for q in open_questions] == ["A/A"]


def test_the_command_refuses_and_names_what_is_unsettled(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert lar(["bundle", TARGET, "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["refused"] and "cpu-kinds" in {one["kind"] for one in said["blockers"]}
    assert all(one["next"] for one in said["blockers"])


def test_a_draft_is_marked_complete_in_its_parts_and_carries_no_place_of_this_machine(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["bundle", TARGET, "--draft", "--unchecked", "--json", f"--out={tmp_path}"]
    assert lar(words) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["draft"] and [part["number"] for part in said["parts"]] == [*range(1, 9)]
    assert (tmp_path / "DRAFT").read_text().strip()
    assert "do not send" in (tmp_path / "README.md").read_text()
    for part in said["parts"]:
        for name in part["files"]:
            assert (tmp_path / name).exists() or name.startswith("fsst/") or name == "logs/"
    texts = [p.read_text() for p in tmp_path.rglob("*") if p.is_file()]
    assert not any(str(ROOT) in text for text in texts)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert lar(words) == 1
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
