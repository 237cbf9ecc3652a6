"""Ends of a loop that are no limits: signals, a wrong champion, a machine that fails, a full disk.

The real command in a process of its own, with a real program as its agent.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from agent_parts import (
    TARGET,
    assert_whole,
    checkout,
    fresh,
    newest,
    own_lock,  # noqa: F401
    rows,
    run_loop,
)
from campaign_parts import git
from kernels import around
from tiers import fast_for

from lance_autoresearch.agents import Settings, make_agent
from lance_autoresearch.build.builder import compose_first_kernel
from lance_autoresearch.campaign import campaign as campaigns
from lance_autoresearch.campaign.tally import load_run
from lance_autoresearch.errors import UsageError
from lance_autoresearch.judge import judge as judge_module
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.records import ReasonKind, Verdict

LAR = str(Path(sys.executable).parent / "lar")
NEXT_NAME = (
    'n=$(cat "$HOME/n" 2>/dev/null || echo 0); n=$((n+1)); echo $n > "$HOME/n"; '
    'sed -i "s/pub fn scan8/use std::fs; pub fn scan8/" kernels.rs; echo "// $n" >> kernels.rs; '
    """echo "{\\"hypothesis\\": \\"name $n\\", \\"cost_usd\\": 0.5}" """
)
"""A program that proposes a new kernel every turn, each refused unbuilt, and its price."""


def shell(script: str) -> str:
    return f"cmd:/bin/sh -c {shlex.quote(script)}"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("ends"))


def lar(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LAR_ROOT": str(root)}
    return subprocess.run([LAR, *words], cwd=root, env=env, capture_output=True, text=True,
                          timeout=300)


def wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, f"no {path.name}"
        time.sleep(0.02)


@pytest.mark.parametrize(
    "number", fast_for([signal.SIGTERM, signal.SIGHUP], signal.SIGTERM), ids=lambda n: n.name
)
def test_a_signal_ends_turn_and_loop_and_the_persons_command_runs(
    root: Path, tmp_path: Path, number: signal.Signals
) -> None:
    mine, end = fresh(root), tmp_path / "end.json"
    agent = shell('touch "$HOME/up"; setsid sleep 600 & sleep 600')
    env = {**os.environ, "LAR_ROOT": str(root)}
    loop = subprocess.Popen(
        [LAR, "loop", TARGET, "--agent", agent, "--campaign", mine.name, "--on-end",
         f"cat > {end}"], cwd=root, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # not nohup's
    )  # fmt: skip
    wait_for(root / ".lar" / "loops" / mine.name / "agent" / "cmd" / "up")
    loop.send_signal(number)
    out, err = loop.communicate(timeout=60)
    assert loop.returncode == 128 + number, err
    assert json.loads(end.read_text())["ended"] == f"ended by {number.name}"
    assert f"ended by {number.name}" in out.decode()
    run = load_run(mine.desk)
    assert run is not None and run.may_go_on
    shown = lar(root, "status").stdout
    assert f"./lar loop {TARGET} --resume --campaign {mine.name} --agent ... (as before)" in shown
    assert_whole(mine)
    resumed = lar(root, "loop", TARGET, "--resume", "--campaign", mine.name, "--agent",
                  shell("true"))  # a crash would be waited for
    assert resumed.returncode == 4 and "turns in a row" in resumed.stdout


def test_status_proposes_no_resume_that_will_refuse(root: Path) -> None:
    mine = fresh(root)
    run_loop(root, make_agent(shell(NEXT_NAME), Settings()), campaign=mine.name)
    shown = lar(root, "status").stdout
    assert f"--campaign {mine.name}" not in shown and "ended: 1 trials done" in shown


def wrong_champion(root: Path) -> bytes:
    return around(compose_first_kernel(root, TARGET), "scan8", after="out.fill(f32::NAN);")


def test_a_wrong_champion_is_named_when_a_campaign_begins(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = checkout(tmp_path / "checkout")
    kernel = root / "targets" / TARGET / "kernel" / "kernels.rs"
    kernel.parent.mkdir(exist_ok=True)
    kernel.write_bytes(wrong_champion(root))
    for words in (["start", TARGET], ["loop", TARGET, "--agent", shell(NEXT_NAME)]):
        done = lar(root, *words)
        assert done.returncode == 64 and "the champion cannot be one: incorrect" in done.stderr
        assert f"./lar start {TARGET} --from upstream" in done.stderr
    with Ledger.open(root) as ledger:
        assert not ledger.list_campaigns()


def test_an_old_campaign_with_a_wrong_champion_asks_no_agent(root: Path) -> None:
    mine = campaigns.create_campaign(root, TARGET, wrong_champion(root), origin="champion")
    agent = make_agent(shell(NEXT_NAME), Settings())
    with pytest.raises(UsageError, match="the champion cannot be one") as caught:
        run_loop(root, agent, campaign=mine.name)
    assert caught.value.where == f"campaign {mine.name}"
    assert not (root / ".lar" / "loops" / mine.name / "agent").exists() and not rows(mine)


def test_a_machine_that_fails_again_and_again_ends_the_loop_after_one_turn(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The failure is real: the measuring program is killed under the judge, in each trial.
    mine = fresh(root)
    honest = shell(
        'n=$(cat "$HOME/n" 2>/dev/null || echo 0); echo $((n+1)) > "$HOME/n"; '
        'echo "// $n" >> kernels.rs; sed -i "s/fn scan8/fn scan8/" kernels.rs; '
        'echo "pub fn extra_$n() -> usize { $n }" >> kernels.rs; '
        """echo '{"hypothesis": "one more function", "cost_usd": 0.5}'"""
    )
    check = judge_module._check

    def kill_then_check(prepared: object, bench: object, found: object) -> object:
        type(bench).begin_trial(bench)  # type: ignore[attr-defined]
        process = bench.conductor._process  # type: ignore[attr-defined]
        process.kill()
        process.wait()
        monkeypatch.setattr(bench, "begin_trial", lambda: None)
        return check(prepared, bench, found)  # type: ignore[arg-type]

    monkeypatch.setattr(judge_module, "_check", kill_then_check)
    monkeypatch.setattr(judge_module, "_refuse_same_program", lambda job, prepared: None)
    progress = run_loop(root, make_agent(honest, Settings()), trials=9, campaign=mine.name)
    assert "the machine spoiled 3 trials in a row" in progress.ended, progress.ended
    assert progress.failed and progress.may_go_on
    found = [row.record for row in rows(mine)]
    assert [r.verdict for r in found] == [Verdict.INCONCLUSIVE] * 3
    assert {r.results.reason.kind for r in found if r.results.reason} == {ReasonKind.MACHINE}
    assert len({r.kernel for r in found}) == 1 and progress.tally.usd == 0.5, "one paid turn"


def test_resume_without_a_campaign_refuses_before_it_makes_one(tmp_path: Path) -> None:
    root = checkout(tmp_path / "checkout")
    before = git(root, "branch", "--list")
    done = lar(root, "loop", TARGET, "--resume")
    assert done.returncode == 64 and f"no campaign on {TARGET}" in done.stderr
    assert git(root, "branch", "--list") == before
    with Ledger.open(root) as ledger:
        assert not ledger.list_campaigns()


def test_a_home_at_its_limit_ends_the_loop_and_names_the_home(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAR_AGENT_HOME_GB", "0.002")
    fill = 'dd if=/dev/zero of="$HOME/big" bs=1M count=4 2> /dev/null; ' + NEXT_NAME
    progress = run_loop(root, make_agent(shell(fill), Settings()), trials=5)
    mine = newest(root)
    home = root / ".lar" / "loops" / mine.name / "agent" / "cmd"
    assert f"its home {home} has more than 0.002 GB" in progress.ended
    assert f"rm -r {home}" in progress.ended and len(progress.done) == 1
    listed = json.loads(lar(root, "gc", "--dry-run", "--json").stdout)["largest"]
    assert [part for part in listed if part["agent"]], listed
    text = lar(root, "gc", "--dry-run", "--max-gb", "0.0001").stdout
    assert "the largest parts that stay" in text


def test_a_disk_that_is_almost_full_or_a_lar_too_large_ends_the_loop_before_a_turn(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make_agent(shell(NEXT_NAME), Settings())
    for name, value, said in (
        ("LAR_MIN_FREE_GB", "100000000", "are free on the file system of .lar"),
        ("LAR_MAX_GB", "0.000001", ".lar has more than"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            progress = run_loop(root, agent)
        assert said in progress.ended and "lar gc" in progress.ended and not progress.done
        assert progress.failed and progress.may_go_on
    monkeypatch.setenv("LAR_MAX_GB", "much")
    with pytest.raises(UsageError, match="LAR_MAX_GB=much is no size"):
        run_loop(root, agent)


def test_edits_of_other_files_are_mentioned(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = fresh(root)
    (mine.worktree / "notes.txt").write_text("x")
    run_loop(root, make_agent(shell(NEXT_NAME), Settings()), campaign=mine.name)
    assert "edits of other files in the worktree have no effect: notes.txt" in (
        capsys.readouterr().out)
    mine.kernel_path.write_text("use std::fs;")
    done = lar(root, "try", TARGET)
    assert "have no effect: notes.txt" in done.stderr, done.stderr
    (mine.worktree / "notes.txt").unlink()


def test_a_failure_before_the_first_turn_reaches_the_persons_command(root: Path) -> None:
    mine = fresh(root)
    out = root / ".lar" / "end.json"
    done = lar(root, "loop", TARGET, "--agent", shell("true"), "--campaign", mine.name,
               "--resume", "--on-end", f"cat > {out}")
    assert done.returncode == 64 and "no interrupted loop" in done.stderr
    assert "no interrupted loop" in json.loads(out.read_text())["ended"]
