"""Figures that travel: the file of a machine, and the tables that are made of such files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import machine_tables
import pytest

from lance_autoresearch.build.provenance import measure_provenance
from lance_autoresearch.calibration import machine_records, quote
from lance_autoresearch.calibration.machine_records import (
    MachineRecord,
    find_newest,
    find_staleness,
    load_records,
    save_record,
)
from lance_autoresearch.errors import MachineError, UsageError
from lance_autoresearch.judge.job import hash_text
from lance_autoresearch.records import (
    ComboId,
    ComboRow,
    Comparison,
    ConfirmResult,
    Estimate,
    Guard,
    PairTimes,
    Reason,
    ReasonKind,
    Verdict,
    Void,
    VoidCause,
)
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.champion import read_champion

ROOT = Path(__file__).resolve().parents[2]
TARGET = "pq-l2"
LAR = Path(sys.executable).parent / "lar"


def result(gain: float, slow: float) -> ConfirmResult:
    """All combos at `gain` %, but for one at `slow` %."""
    def row(name: str, value: float) -> ComboRow:
        guard = Guard.SLOWER if value < -5 else Guard.OK
        return ComboRow(ComboId("scan8", name, 1.0), 10.0, 9.0, value, value - 1, value + 1, guard)

    return ConfirmResult(
        Verdict.KEEP, Reason(ReasonKind.CONFIRMED), "all",
        (Estimate("all", gain, gain - 2, gain + 2, 32),),
        (row("16x256 uniform", gain), row("96x1024 skewed", slow)), None, 32, 1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def fresh() -> MachineRecord:
    """A record of today's champion by today's rules."""
    champion = read_champion(ROOT, TARGET)
    assert champion is not None
    return MachineRecord(
        TARGET, "2026-11-30", "0a1b2c3d",
        {"cpu": "AMD EPYC", "cpu_kind": "zen3", "cores": "2", "box": "bwrap"}, "1.95.0",
        hash_text(champion), measure_provenance(ROOT, catalogue.load_target(ROOT, TARGET), DEFAULT),
        {"native": result(42.0, 10.0), "scalar": result(15.0, -6.0)}, {"avx2": "native"},
    )  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with the real targets and extracts, and no records."""
    shutil.copytree(ROOT / "targets", tmp_path / "targets")
    (tmp_path / "rust").symlink_to(ROOT / "rust")
    (tmp_path / ".lar").symlink_to(ROOT / ".lar")
    for name in ("upstream.toml", "upstream.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_a_record_comes_back_as_it_was_written(fresh: MachineRecord, root: Path) -> None:
    path = save_record(root, fresh)
    assert path == root / "records/machines/zen3/2026-11-30-0a1b2c3d-pq-l2.json"
    assert load_records(root) == [fresh]


def test_kinds_days_hosts_and_targets_have_files_of_their_own(
    fresh: MachineRecord, root: Path
) -> None:
    others = [
        replace(fresh, machine={**fresh.machine, "cpu_kind": "zen4@avx2"}),
        replace(fresh, date="2026-12-01"), replace(fresh, host="ffffffff"),
        replace(fresh, target="fsst"),
    ]  # fmt: skip
    assert len({save_record(root, record) for record in [fresh, *others, fresh]}) == 5
    assert find_newest(root)[TARGET, "zen3"].date == "2026-12-01"
    assert {kind for _, kind in find_newest(root)} == {"zen3", "zen4@avx2"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.pop("tiers"),
        lambda d: d["tiers"].pop("native"),
        lambda d: d["machine"].pop("cpu_kind"),
        lambda d: d.update(v=2),
        lambda d: d.update(date="2026-12-02"),
        lambda d: d["tiers"]["native"].update(verdict="fast"),
    ],
    ids=["no tiers", "no native", "no kind", "version", "another day", "verdict"],
)
def test_a_damaged_record_is_named(damage: object, fresh: MachineRecord, root: Path) -> None:
    path = save_record(root, fresh)
    data = json.loads(path.read_text())
    damage(data)  # type: ignore[operator]
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError) as caught:
        load_records(root)
    assert caught.value.where == path.relative_to(root).as_posix()


def test_a_figure_of_another_champion_or_of_other_rules_is_stale(
    fresh: MachineRecord, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_staleness(root, fresh) == ""
    assert find_staleness(root, replace(fresh, champion="00")) == "older champion"
    for name in machine_records.COMPARABLE:
        older = replace(fresh, provenance={**fresh.provenance, name: "00", "all": "old"})
        assert find_staleness(root, older) == "older rules", name
    other_instrument = {**fresh.provenance, "instrument": "00", "all": "old"}
    assert find_staleness(root, replace(fresh, provenance=other_instrument)) == ""
    alike = frozenset({"old", fresh.provenance["all"]})
    monkeypatch.setattr(machine_records, "find_equal_rulesets", lambda *_: alike)
    assert find_staleness(root, older) == ""


def test_readme_has_a_column_for_each_kind(fresh: MachineRecord, root: Path) -> None:
    assert machine_tables.champions(root) == machine_tables.NOTHING.format("TARGET")
    save_record(root, fresh)
    zen4 = {**fresh.machine, "cpu_kind": "zen4"}
    save_record(root, replace(fresh, machine=zen4, target="fsst", champion="00"))
    head, _, *rows = machine_tables.champions(root).splitlines()
    assert head == "| target | zen3 (AMD EPYC) | zen4 (AMD EPYC) | end to end, in Lance |"
    assert rows[1] == (
        "| `pq-l2` | 1.42x [1.40]; scalar 1.15x [1.13]; 2026-11-30; "
        "**slower here** at scalar: scan8 96x1024 skewed | not measured | not yet measured |"
    )
    assert rows[0].startswith("| `fsst` | not measured | 1.42x") and "*older champion" in rows[0]


def test_a_page_has_every_combo_at_every_tier(fresh: MachineRecord, root: Path) -> None:
    assert machine_tables.target_page(TARGET, root).startswith("No figure is recorded yet")
    save_record(root, fresh)
    page = machine_tables.target_page(TARGET, root)
    assert page.startswith("**zen3** (AMD EPYC, 2 cores, host 0a1b2c3d), 2026-11-30, Rust 1.95.0")
    assert "| scan8 96x1024 skewed | 1.10x [1.09] | 0.94x [0.93] **slower here** |" in page
    assert "| all | 1.42x [1.40] | 1.15x [1.13] |" in page
    assert page.endswith("`avx2` is `native` on this processor.")


@pytest.mark.parametrize("option", [["--tier", "scalar"], ["--kernel", "x.rs"]])
def test_a_record_is_of_the_committed_champion_at_every_tier(option: list[str]) -> None:
    done = subprocess.run(
        [LAR, "bench", TARGET, "--record", *option], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 64 and "at every tier" in done.stderr


def test_few_pairs_make_no_record() -> None:
    done = subprocess.run(
        [LAR, "bench", TARGET, "--record", "--pairs=15"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 64 and "too few for a record" in done.stderr


def test_pairs_that_were_disturbed_are_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raw pairs of which none counts end in an error, not in a factor of 1."""
    void = PairTimes((0,), ((),), ((),), (0, 0), Void(VoidCause.FOREIGN_WORK))
    pairs = Comparison((ComboId("scan8", "a", 1.0),), (void,) * 32, 2.4, ())
    monkeypatch.setattr(quote, "measure_pairs", lambda *_, **__: pairs)
    bench = SimpleNamespace(target=SimpleNamespace(name=TARGET))
    with pytest.raises(MachineError, match=r"no figure: too many of 32 pairs .*\(32\)"):
        quote.measure_quote(bench, b"", DEFAULT)  # type: ignore[arg-type]


def test_every_committed_record_can_be_read() -> None:
    assert [r.path for r in load_records(ROOT)] == [
        p.relative_to(ROOT).as_posix()
        for p in sorted((ROOT / "records/machines").glob("*/*.json"), key=lambda p: (
            p.name[:10], p.as_posix()))
    ]
