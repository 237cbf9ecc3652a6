"""Calibration: real trials whose truth is known, counted, resumed, exported.

The machine may be busy, then trials end `inconclusive`: what is asserted holds all the same.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiers import fast_for

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.calibration import dosing
from lance_autoresearch.calibration.dosing import find_dose
from lance_autoresearch.calibration.scores import parse_tsv, score_trials
from lance_autoresearch.campaign.calibration import keep_core_busy, run_calibration
from lance_autoresearch.campaign.calibration_rows import list_calibration_trials
from lance_autoresearch.cli.app import run_command_line as lar
from lance_autoresearch.errors import MachineError, UsageError
from lance_autoresearch.host import machine
from lance_autoresearch.host.checkout import ensure_lar_dir
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.ledger.pairs_json import decode_trial
from lance_autoresearch.records import TrialKind, TrialRecord, Verdict
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.rules.rejudge import rejudge

ROOT = Path(__file__).resolve().parents[2]
SHARED = ("targets", "rust", "upstream.toml", "upstream.lock")


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """This checkout with a ledger and pools of its own."""
    here = Path(tempfile.mkdtemp(prefix="calibration-", dir=ensure_lar_dir(ROOT, "tmp")))
    for name in SHARED:
        (here / name).symlink_to(ROOT / name)
    (here / ".lar").mkdir()
    for name in ("upstream", "extracts", "bin"):
        (here / ".lar" / name).symlink_to(ROOT / ".lar" / name)
    yield here
    shutil.rmtree(here)


def made(root: Path, kind: TrialKind, trials: int, target: str = "pq-l2") -> list[TrialRecord]:
    """Run until this number of rows stand; a machine that is too busy ends only this test."""
    try:
        return list(
            run_calibration(
                root, target, None, kind, trials=trials, hours=None, show=_quiet, patience=0
            )
        )
    except MachineError as error:
        assert "void" in str(error) or "noise" in str(error)
        pytest.skip(f"the machine is too busy: {error.what}")


def test_labels_tell_kind_size_and_load() -> None:
    assert TrialKind("aa").label == "aa"
    assert TrialKind("delay", 1.5).label == "delay 1.5"
    assert TrialKind("regress", 5, "measuring").label == "regress 5 +load measuring"


@pytest.mark.parametrize(
    "kind",
    [TrialKind("delay"), TrialKind("regress", 80), TrialKind("aa", 1), TrialKind("delay", -1)],
)
def test_an_effect_that_makes_no_sense_is_refused_before_anything_runs(kind: TrialKind) -> None:
    with pytest.raises(UsageError, match="effect"):
        next(run_calibration(ROOT, "pq-l2", None, kind, trials=1, hours=None, show=print))


@pytest.mark.timing
@pytest.mark.parametrize("name", fast_for(["aa", "padding", "identity"], "aa"))
def test_nulls_are_measured_and_not_kept(root: Path, name: str) -> None:
    (record,) = made(root, TrialKind(name), 1)
    assert record.verdict in (Verdict.REVERT, Verdict.INCONCLUSIVE)
    assert (record.kind, record.agent) == (name, "calibrate")
    assert record.pairs_blob is not None


@pytest.mark.deep
@pytest.mark.timing
def test_trials_that_stand_count_and_are_not_run_again(root: Path) -> None:
    before = len(_rows(root, "aa"))
    assert len(made(root, TrialKind("aa"), before + 2)) == 2
    assert made(root, TrialKind("aa"), before + 2) == []
    (score,) = [s for s in score_trials(list_calibration_trials(root, ["pq-l2"])) if s.kind == "aa"]
    assert (score.trials, score.count_verdict("keep")) == (before + 2, 0)


@pytest.mark.deep
@pytest.mark.timing
def test_what_is_stored_gives_the_same_verdict_to_the_last_bit(root: Path) -> None:
    (record,) = made(root, TrialKind("aa"), 1 + len(_rows(root, "aa")))
    with Ledger.open(root) as ledger:
        stored = decode_trial(ledger.get_blob(record.pairs_blob or ""))
    assert rejudge(stored.pairs, stored.policy).screening == record.results.screening


@pytest.mark.deep
@pytest.mark.timing
def test_an_injected_gain_has_the_right_sign_and_a_regression_is_not_kept(root: Path) -> None:
    (gain,) = made(root, TrialKind("delay", 20), 1)
    (loss,) = made(root, TrialKind("regress", 20), 1)
    assert loss.verdict is not Verdict.KEEP
    if gain.results.screening is not None and gain.results.screening.pairs >= 4:
        assert gain.gain is not None and 8 < gain.gain < 40
    with Ledger.open(root) as ledger:
        assert ledger.find_blob(gain.champion) is None or gain.champion != gain.kernel
    assert "20 % slower" in loss.hypothesis


@pytest.mark.deep
@pytest.mark.timing
@pytest.mark.parametrize("target", ["topk-merge", "fsst"])
def test_every_combo_gets_its_own_delay(root: Path, target: str) -> None:
    """Also where sizes differ from call to call, or a call comes in parts."""
    with Bench(root, target) as bench:
        ops = {combo.label: combo.op for combo in bench.combos}
        keys = dosing._probe_keys(bench, bench.first_kernel, ops, bench.inputs.epoch.timed)
        assert list(keys) == list(ops)
        assert len({(ops[label], row.key) for label, row in keys.items()}) == len(keys)
        try:
            dose = find_dose(bench, bench.first_kernel, 0.02, DEFAULT, pairs=4)
        except MachineError as error:
            assert "void" in str(error)
            pytest.skip("the machine is too busy to measure a dose")
    assert list(dose.rows) == list(dose.second) == list(dose.measured) == list(keys)
    steps = [row.steps for rows in (dose.rows, dose.second) for row in rows.values()]
    assert all(math.isfinite(n) and n > 0 for n in steps)
    assert all(0.0 < came < 0.1 for came in dose.came), dose.came


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cores cannot be pinned here")
def test_a_load_ends_with_its_trials() -> None:
    cores = machine.list_cores()
    both = (cores[-1], cores[0])
    before = set(_children())
    with keep_core_busy(both, "conductor"):
        (pid,) = set(_children()) - before
    assert pid not in _children()
    with keep_core_busy(both, None):
        assert set(_children()) == before


def test_a_calibration_exports_one_line_a_trial(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAR_ROOT", str(root))
    out = tmp_path / "records" / "pq-l2.tsv"
    assert lar(["calibrate", "pq-l2", "--report", "--export", str(out)]) == 0
    assert parse_tsv(out.read_text()) == list_calibration_trials(root, ["pq-l2"])
    printed = capsys.readouterr().out
    assert ("of those decided" in printed) == bool(list_calibration_trials(root, ["pq-l2"]))
    assert lar(["calibrate", "nothing", "--report"]) == 64


def _quiet(_: str) -> None:
    """No progress."""


def _rows(root: Path, label: str) -> list[TrialRecord]:
    with Ledger.open(root) as ledger:
        return [row.record for row in ledger.list_trials(kind=label)]


def _children() -> list[int]:
    text = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()
    return [int(pid) for pid in text.split()]


