"""Champions on processors that this machine is not: equal bits, no trap, and never a time.

The tests that need an emulator are skipped, with the reason, where its packages are not installed;
`make aarch64` and `make nehalem` install them.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import cross
import emulate
import pytest
from cross import MACHINES, CrossBuild, Machine
from emulated_records import (
    Entry,
    describe_entry,
    describe_target,
    digest_cases,
    list_rows,
    load_entries,
    save_entry,
)

from lance_autoresearch.build.builder import compose_first_kernel
from lance_autoresearch.errors import UsageError
from lance_autoresearch.judge.job import hash_text
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.champion import read_champion

ROOT = Path(__file__).resolve().parents[2]
KERNELS = ROOT / "tests" / "data" / "emulated"
TOY = "_toy"


def need(name: str) -> Machine:
    """The machine, or skip."""
    machine = MACHINES[name]
    if obstacle := cross.find_obstacle(machine, ROOT):
        pytest.skip(obstacle)
    if missing := cross.find_missing(machine):
        pytest.skip(f"not installed: {', '.join(missing)} (make {name})")
    return machine


# ---- under the emulator ------------------------------------------------------------------


@pytest.mark.deep
@pytest.mark.parametrize("target", catalogue.list_targets(ROOT, hidden=True))
@pytest.mark.parametrize("name", MACHINES)
def test_the_champion_has_lances_bits_and_the_cheats_have_not(
    name: str, target: str, capfd: pytest.CaptureFixture[str]
) -> None:
    need(name)
    assert emulate.main([name, target]) == 0, capfd.readouterr().out
    shown = capfd.readouterr().out
    assert re.search(r"\b(\d+) of \1 cases equal", shown)
    timed = re.search(r"\d ?(s|ms|us|ns|seconds|minutes)\b", shown)
    assert timed is None, "emulated time means nothing"


@pytest.mark.deep
def test_a_kernel_wrong_on_aarch64_alone_is_found(capfd: pytest.CaptureFixture[str]) -> None:
    need("aarch64")
    kernel = str(KERNELS / "wrong_on_aarch64.rs")
    assert emulate.main(["aarch64", TOY, "--kernel", kernel]) == 2
    shown = capfd.readouterr().out
    assert "different  blend" in shown and "mismatch" in shown
    assert "  compact" not in shown, "only the op that is wrong"
    if not cross.find_obstacle(MACHINES["nehalem"], ROOT):
        assert emulate.main(["nehalem", TOY, "--kernel", kernel]) == 0


@pytest.mark.deep
def test_avx2_without_asking_traps_on_nehalem(capfd: pytest.CaptureFixture[str]) -> None:
    need("nehalem")
    kernel = str(KERNELS / "avx2_unasked.rs")
    assert emulate.main(["nehalem", TOY, "--kernel", kernel]) == 2
    shown = capfd.readouterr().out
    assert "trap  compact" in shown and "SIGILL" in shown
    assert "  blend" not in shown, "a trap ends its own case alone"


@pytest.mark.deep
def test_on_a_processor_with_avx2_the_same_kernel_is_right(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = need("nehalem")
    newer = dataclasses.replace(machine, cpus=("max",))
    monkeypatch.setitem(cross.MACHINES, "nehalem", newer)
    assert emulate.main(["nehalem", TOY, "--kernel", str(KERNELS / "avx2_unasked.rs")]) == 0


@pytest.mark.deep
def test_conductor_and_worker_are_built_for_aarch64() -> None:
    machine = need("aarch64")
    for program in CrossBuild(ROOT, machine).build_programs():
        head = program.read_bytes()[:20]
        assert head[:4] == b"\x7fELF" and head[18:20] == (183).to_bytes(2, "little")


# ---- without one -------------------------------------------------------------------------


def test_what_is_to_be_installed_is_shown_and_needs_agreement(
    capfd: pytest.CaptureFixture[str],
) -> None:
    missing = ("lar-no-such-package:arm64",)
    machine = dataclasses.replace(
        MACHINES["aarch64"], packages=missing, linker="", triple=_own_triple()
    )
    reason = emulate.prepare_machine(machine, ROOT, agreed=False)
    shown = capfd.readouterr().out
    if "apt-get" not in reason:
        assert "not installed" in reason
        assert "dpkg --add-architecture arm64\n" in shown
        assert "--no-install-recommends lar-no-such-package:arm64\n" in shown


def _own_triple() -> str:
    from lance_autoresearch.host.toolchain import Toolchain

    return Toolchain.probe(ROOT).host


def test_the_projects_own_compiler_is_never_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/opt/rust/bin")
    assert cross._would_hide("/opt/rust/bin/rustc")
    monkeypatch.setenv("PATH", "/opt/rust/bin:/usr/bin")
    assert not cross._would_hide("/opt/rust/bin/rustc")
    assert not cross._would_hide("/usr/bin/rustc")


def test_a_kernel_needs_one_target(capfd: pytest.CaptureFixture[str]) -> None:
    assert emulate.main(["nehalem", "--kernel", str(KERNELS / "avx2_unasked.rs")]) == 64
    assert emulate.main(["nehalem", "no-such-target"]) == 64
    assert "no target named" in capfd.readouterr().err


# ---- records -----------------------------------------------------------------------------


def entry_of(target: str) -> Entry:
    """A full result of today's champion."""
    champion = read_champion(ROOT, target) or compose_first_kernel(ROOT, target)
    return Entry(
        target=target, date="2026-11-30", toolchain="rustc 1.96.0", emulator="qemu-aarch64 7.2.22",
        cpus=("cortex-a53", "max"), champion=hash_text(champion),
        inputs=digest_cases(ROOT, catalogue.load_target(ROOT, target)), cases=5, equal=5, wrong=(),
        cheats=2, cheats_found=2,
    )  # fmt: skip


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    one, two = entry_of(TOY), dataclasses.replace(entry_of(TOY), target="another", cases=7)
    save_entry(tmp_path, "aarch64", two)
    path = save_entry(tmp_path, "aarch64", one)
    assert load_entries(tmp_path, "aarch64") == {TOY: one, "another": two}
    assert "second" not in (tmp_path / path).read_text()
    (tmp_path / path).write_text("[a]\ndate = 1\n")
    with pytest.raises(UsageError, match="not a record"):
        load_entries(tmp_path, "aarch64")


def test_a_result_claims_what_was_run_and_no_more() -> None:
    entry = entry_of(TOY)
    full = describe_entry(ROOT, "aarch64", entry)
    assert full.startswith("bits equal on AArch64 (emulated), not timed; 5 of 5 cases")
    assert "stale" not in full
    wrong = dataclasses.replace(entry, equal=4, wrong=("blend n=7 wide",))
    assert describe_entry(ROOT, "aarch64", wrong).startswith("**not equal** on AArch64 (emulated)")
    assert "make aarch64" in describe_entry(ROOT, "aarch64", None)


def test_a_result_of_another_champion_or_of_other_cases_is_stale() -> None:
    entry = entry_of(TOY)
    older = describe_entry(ROOT, "aarch64", dataclasses.replace(entry, champion="0" * 64))
    assert "**stale**, of an older champion: `make aarch64`" in older
    cases = describe_entry(ROOT, "aarch64", dataclasses.replace(entry, inputs="0" * 64))
    assert "**stale**, of older cases" in cases


def test_every_target_has_its_lines() -> None:
    head, rows = list_rows(ROOT)
    assert [row[0] for row in rows] == [f"`{name}`" for name in catalogue.list_targets(ROOT)]
    assert all(len(row) == len(head) for row in rows)
    for name in catalogue.list_targets(ROOT):
        assert len(describe_target(ROOT, name).splitlines()) == len(MACHINES)
