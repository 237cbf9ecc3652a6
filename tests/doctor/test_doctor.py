"""`lar doctor`: it tries the real thing, reports all faults at once, and fixes what it says."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from cpu_texts import RECORDED, below

from lance_autoresearch import doctor
from lance_autoresearch.cli.doctor import format_finding
from lance_autoresearch.doctor import sandboxes
from lance_autoresearch.host import landlock, machine, sandbox
from lance_autoresearch.host.cpu_kinds import read_processor

ROOT = Path(__file__).resolve().parents[2]
LAR = Path(sys.executable).parent / "lar"


@pytest.fixture(scope="module")
def findings() -> dict[str, doctor.Finding]:
    return {f.name: f for f in doctor.examine_machine(ROOT)}


def report(**env: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit code and findings of `lar doctor --json` in another environment."""
    done = subprocess.run(
        [LAR, "doctor", "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "LAR_ROOT": str(ROOT), **env},
    )
    return done.returncode, {f["name"]: f for f in json.loads(done.stdout)["findings"]}


def test_every_check_answers_once(findings: dict[str, doctor.Finding]) -> None:
    assert len(findings) >= 1 + len(doctor.CHECKS)
    assert {"box", "agent box", "disk"} <= findings.keys()


def test_whatever_is_not_well_says_what_it_costs(findings: dict[str, doctor.Finding]) -> None:
    for finding in findings.values():
        assert finding.found
        assert finding.state == "ok" or finding.weaker, finding
        assert finding.state != "fault" or finding.fix, finding


def test_this_environment_is_the_locked_one(findings: dict[str, doctor.Finding]) -> None:
    assert findings["environment"].state == "ok", findings["environment"]


def test_all_faults_at_once_without_any_tool(tmp_path: Path) -> None:
    code, found = report(PATH=str(tmp_path))
    assert code == 4
    faults = {name for name, f in found.items() if f["state"] == "fault"}
    assert {"git", "rust", "linker"} <= faults
    assert found["box"]["state"] == ("weak" if landlock.read_version() else "fault")
    assert found["box"]["fix"].startswith("apt-get install bubblewrap")
    assert all(found[name]["fix"] for name in faults)


def test_an_old_compiler_is_a_fault_that_names_its_version(tmp_path: Path) -> None:
    old = tmp_path / "rustc"
    old.write_text("#!/bin/sh\nprintf 'rustc 1.70.0\\nrelease: 1.70.0\\nhost: x86_64-x\\n'\n")
    old.chmod(0o755)
    _, found = report(PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert found["rust"]["state"] == "fault"
    assert "1.70.0" in found["rust"]["found"]


def test_a_bubblewrap_that_does_not_work_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bwrap = tmp_path / "bwrap"
    bwrap.write_text("#!/bin/sh\nexit 1\n")
    bwrap.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sandbox, "SYSTEM_PATH", str(tmp_path))
    sandbox.find_bubblewrap.cache_clear()
    try:
        found = sandboxes.check_sandbox(ROOT)
    finally:
        sandbox.find_bubblewrap.cache_clear()
    assert found.state == ("weak" if landlock.read_version() else "fault")
    assert "bubblewrap does not start" in found.found and found.fix


def test_accepting_the_risk_is_weaker_not_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.find_bubblewrap.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(landlock, "read_version", lambda: 0)  # a kernel without Landlock
    try:
        assert sandboxes.check_sandbox(ROOT).state == "fault"
        monkeypatch.setenv(sandbox.UNBOXED, "1")
        found = sandboxes.check_sandbox(ROOT)
    finally:
        sandbox.find_bubblewrap.cache_clear()
    assert found.state == "weak" and sandbox.UNBOXED in found.weaker


def test_agents_on_path_are_named(tmp_path: Path) -> None:
    agent = tmp_path / "codex"
    agent.write_text("#!/bin/sh\n")
    agent.chmod(0o755)
    _, found = report(PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert "codex" in found["agents"]["found"]


def test_one_core_is_not_enough() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no pinning on this system")
    one = min(os.sched_getaffinity(0))
    done = subprocess.run(
        [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {{{one}}});"
         "from pathlib import Path; from lance_autoresearch import doctor;"
         "print(doctor._check_cores(Path('.')).state)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "fault"


def test_checking_the_cores_leaves_the_affinity_alone() -> None:
    before = os.sched_getaffinity(0)
    doctor._check_cores(ROOT)
    assert os.sched_getaffinity(0) == before


def test_missing_sources_are_a_fault_with_the_command(tmp_path: Path) -> None:
    assert doctor._check_upstream(tmp_path).state == "fault"
    shutil.copy(ROOT / "upstream.lock", tmp_path)
    found = doctor._check_upstream(tmp_path)
    assert found.state == "fault" and "lance-linalg" in found.found
    assert found.fix.startswith("./lar upstream fetch")


def test_missing_conductor_is_a_fault_with_the_command(tmp_path: Path) -> None:
    found = doctor._check_conductor(tmp_path)
    assert (found.state, found.fix) == ("fault", "./lar doctor --build")


@pytest.mark.skipif(platform.system() != "Linux", reason="Landlock is Linux's")
def test_kernel_facilities_are_asked_not_assumed() -> None:
    assert landlock.read_version() >= 0
    assert sandboxes.has_user_namespaces() in (True, False)
    done = subprocess.run(["unshare", "-U", "true"], capture_output=True)
    assert sandboxes.has_user_namespaces() == (done.returncode == 0)


def test_text_has_the_remedy_below_the_fault() -> None:
    finding = doctor.Finding("box", "fault", "no bwrap", "untrusted code is refused", "apt-get x")
    assert format_finding(finding)[0].startswith("fault box")
    assert format_finding(finding)[-1].strip() == "fix: apt-get x"


def test_the_processor_is_named_by_its_kind(findings: dict[str, doctor.Finding]) -> None:
    here = machine.describe_machine()
    assert findings["processor"].found.startswith(f"{here['cpu_kind']} ({here['cpu']})")


@pytest.mark.parametrize(
    ("kind", "state", "found", "weaker"),
    [
        ("zen3", "ok", "zen3 (AMD EPYC): AVX2", "AVX-512 kernels cannot be tried here"),
        ("zen4", "ok", "zen4 (AMD EPYC): AVX2, AVX-512 with VBMI", ""),
        ("zen4-avx2", "weak", "zen4-avx2 (AMD EPYC)", "the hypervisor shows avx2 only"),
        ("haswell-v2", "fault", "no AVX2 or FMA", "Haswell or newer"),
    ],
)
@pytest.mark.skipif(platform.machine() != "x86_64", reason="kinds of x86-64")
def test_each_kind_has_its_line(
    kind: str, state: str, found: str, weaker: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    root = below(tmp_path, RECORDED[kind])
    monkeypatch.setattr(doctor, "read_processor", lambda core: read_processor(root, core))
    monkeypatch.setattr(doctor.machine, "describe_machine", partial(machine.describe_machine, root))
    monkeypatch.delenv("LAR_TIER", raising=False)
    seen = doctor._check_cpu(ROOT)
    assert (seen.state, found in seen.found, weaker in seen.weaker) == (state, True, True)


def test_a_tier_in_force_is_shown() -> None:
    _, found = report(LAR_TIER="scalar")
    seen = found["processor"]
    assert seen["state"] == "weak" and "@scalar (" in seen["found"]
    assert "LAR_TIER=scalar is in force" in seen["weaker"]


def test_an_unknown_tier_is_wrong_usage_that_names_the_right_ones() -> None:
    env = {**os.environ, "LAR_ROOT": str(ROOT), "LAR_TIER": "sse2"}
    done = subprocess.run([LAR, "doctor"], capture_output=True, text=True, env=env)
    assert done.returncode == 64
    assert "LAR_TIER is 'sse2'" in done.stderr and "allowed: avx2, scalar" in done.stderr


def test_macos_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    (only,) = doctor.examine_machine(ROOT)
    assert only.state == "fault" and not doctor.is_usable([only])
    assert only.weaker == "kernels are judged in a Linux sandbox, and macOS has none"


def test_setting_up_on_macos_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    uname = tmp_path / "bin" / "uname"
    uname.parent.mkdir()
    uname.write_text("#!/bin/sh\necho Darwin\n")
    uname.chmod(0o755)
    script = tmp_path / "tools" / "bootstrap.sh"
    script.parent.mkdir()
    script.write_bytes((ROOT / "tools" / "bootstrap.sh").read_bytes())
    env = {**os.environ, "PATH": f"{uname.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", script], capture_output=True, text=True, env=env)
    assert done.returncode == 2
    assert "kernels are judged in a Linux sandbox, and macOS has none" in done.stderr
    assert not (tmp_path / ".lar").exists()


def test_the_agents_sandbox_is_tried_for_itself() -> None:
    """Where it may make no user namespace, a worker's sandbox may start and an agent's may not."""
    script = (
        "echo 0 > /proc/sys/user/max_user_namespaces || exit 9; "
        f"exec {sys.executable} -c 'from pathlib import Path; "
        "from lance_autoresearch.doctor import sandboxes as s; "
        'f = s.check_agent_sandbox(Path(".")); print(f.state, f.fix)\''
    )
    done = subprocess.run(["unshare", "-Ur", "sh", "-c", script], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("no user namespace whose limit may be set")
    assert done.stdout.startswith("weak sysctl user.max_user_namespaces=10000")


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [(f"user/max_{kind}_namespaces", "0", f"sysctl user.max_{kind}_namespaces=10000, as root")
     for kind in ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")]
    + [(sandboxes.APPARMOR, "1", sandboxes.PROFILE)],
)
def test_each_setting_that_forbids_namespaces_has_its_own_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, fix: str
) -> None:
    (tmp_path / "proc" / "sys" / name).parent.mkdir(parents=True)
    (tmp_path / "proc" / "sys" / name).write_text(f"{value}\n")
    monkeypatch.setenv("LAR_SYSTEM_ROOT", str(tmp_path))
    assert sandboxes._explain_missing_bubblewrap()[1] == fix
    assert (ROOT / "tools" / "apparmor-bwrap").is_file()


def test_a_rustc_that_hangs_does_not_hang_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lance_autoresearch.host import toolchain

    rustc = tmp_path / "rustc"
    rustc.write_text("#!/bin/sh\nexec sleep 60\n")
    rustc.chmod(0o755)
    monkeypatch.setattr(toolchain, "ANSWER_S", 0.3)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = doctor._check_rust(tmp_path)
    assert found.state == "fault" and "gave no answer" in found.found
