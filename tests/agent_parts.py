"""What the agents' tests share: the vendors' real programs, a checkout of its own, a short loop.

The programs come in their vendors' wheels (dependency group `agents`, 750 MB installed); the
first test that needs them puts them into `.lar/agents`, an environment of their own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from campaign_parts import git
from checkout_parts import take_products
from injected_delays import injected_gain
from kernels import around
from own_venv import install

from lance_autoresearch.agents import Agent
from lance_autoresearch.campaign import campaign as campaigns
from lance_autoresearch.campaign.beginning import begin_campaign
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.driving import drive_loop
from lance_autoresearch.campaign.loop import Budget, Progress, RetryDelays
from lance_autoresearch.ledger import Ledger, Row
from lance_autoresearch.records import Verdict

ROOT = Path(__file__).resolve().parent.parent
TARGET = "pq-l2"
PROGRAMS = {"claude": "claude_agent_sdk/_bundled/claude", "codex": "codex_cli_bin/bin/codex"}
AT_ONCE = RetryDelays(failed=0.0, crashed=0.0, busy=0.1, longest=0.2, tries=3, machine=0.2)
COPIED = ("HARNESS.md", "targets", "rust", "upstream.toml", "upstream.lock", "records/ideas")
SLOWER_MARK = "\n// once more as it was\n"
"""Behind the text of a delayed champion: right, and slower than the kernel without the delay."""


@pytest.fixture(autouse=True)
def own_lock(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tests that measure nothing do not wait for whoever measures on this machine."""
    if request.node.get_closest_marker("timing") is None:
        monkeypatch.setenv("LAR_LOCK_DIR", str(tmp_path_factory.mktemp("lock")))


def program(name: str) -> str:
    """Path of a vendor's real program, installed on first use."""
    home = ROOT / ".lar" / "agents"
    home.parent.mkdir(exist_ok=True)
    with (home.parent / "agents.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = list(home.glob(f"lib/python*/site-packages/{PROGRAMS[name]}"))
        if not found:
            install(home, "--only-group", "agents")
            found = list(home.glob(f"lib/python*/site-packages/{PROGRAMS[name]}"))
    return str(found[0])


def checkout(directory: Path) -> Path:
    """A checkout with a ledger of its own and this one's builds."""
    for name in COPIED:
        source, to = ROOT / name, directory / name
        to.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, to, ignore=shutil.ignore_patterns("target", "kernel"))
        else:
            shutil.copy(source, to)
    (directory / ".gitignore").write_text(".lar/\n/targets/*/kernel/kernels.rs\n")
    git(directory, "init", "-q", "-b", "main")
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "-m", "start")
    take_products(directory, "upstream", "extracts", "cache/prelude", "cache/lar_shim",
                  "cache/kernels", "cache/bare", "cache/maker", linked=True)  # fmt: skip
    take_products(directory, "bin")  # what may be renewed in place: a link would change ours too
    return directory


def fresh(root: Path) -> Campaign:
    """A new campaign from Lance's own code."""
    return begin_campaign(root, TARGET)


def begin_delayed(root: Path) -> tuple[Campaign, str]:
    """A campaign whose champion has an injected delay, and the kernel that gains on any CPU."""
    gain = injected_gain(TARGET)
    mine = campaigns.create_campaign(root, TARGET, gain.champion, origin="upstream", era="14.0.2")
    return mine, gain.candidate.decode()


def run_loop(root: Path, agent: Agent, trials: int = 1, **more: object) -> Progress:
    """A short loop in a new campaign (or in `campaign`), without waiting between turns."""
    name = more.pop("campaign", None) or fresh(root).name
    limits = {"failures": 2} | dict(more.pop("limits", {}))  # type: ignore[call-overload]
    return drive_loop(root, TARGET, agent, Budget(trials=trials, **limits), campaign=str(name),
                 patience=AT_ONCE, json=True, **more)  # type: ignore[arg-type]


def newest(root: Path) -> Campaign:
    """The campaign begun last."""
    with Ledger.open(root) as ledger:
        row = ledger.list_campaigns(TARGET)[-1]
    return Campaign(root, row.name, row.target)


def rows(mine: Campaign) -> list[Row]:
    with Ledger.open(mine.root) as ledger:
        return ledger.list_trials(campaign=mine.name)


def assert_whole(mine: Campaign) -> None:
    """Ledger, branch and worktree agree; nothing but the kernel differs from the checkout."""
    assert campaigns.verify_ledger(mine.root).fault is None
    champion = mine.read_champion()
    tip = subprocess.run(
        ["git", "show", f"{mine.branch}:targets/{TARGET}/kernel/kernels.rs"],
        cwd=mine.root, capture_output=True, check=True,
    ).stdout
    assert tip == champion
    assert git(mine.root, "status", "--porcelain") == ""
    status = git(mine.worktree, "status", "--porcelain")
    changed = [line.split()[-1] for line in status.splitlines()]
    undecided = rows(mine)[-1:] and str(rows(mine)[-1].record.verdict) == "inconclusive"
    assert changed == ([f"targets/{TARGET}/kernel/kernels.rs"] if undecided else [])


def verdicts(progress: Progress) -> list[Verdict]:
    """Of the trials of a loop."""
    return [done.record.verdict for done in progress.done]


def spoiled(mine: Campaign) -> str:
    """The champion with every sum wrong."""
    return around(mine.read_champion(), "scan8", after="out.fill(f32::NAN);").decode()


def assert_kept_then_reverted(mine: Campaign, progress: Progress, better: str) -> None:
    """Two measured trials: `better`, then what it replaced. Others' load may leave one open."""
    first, *later = [done.record for done in progress.done]
    assert first.verdict in (Verdict.KEEP, Verdict.INCONCLUSIVE), first.reason
    kept = any(record.verdict is Verdict.KEEP for record in (first, *later))
    assert (mine.read_champion() == better.encode()) == kept
    last = progress.done[-1].record
    if kept and last.hypothesis != first.hypothesis:
        assert last.verdict in (Verdict.REVERT, Verdict.INCONCLUSIVE), last.reason
        assert last.gain is None or last.gain < 0
    assert_whole(mine)


@contextlib.contextmanager
def clean_environment(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[None]:
    """No account, no settings of whoever runs the tests: only what a test sets."""
    for name in list(os.environ):
        if name.startswith(("ANTHROPIC", "CLAUDE", "OPENAI", "CODEX", "AZURE", "AWS", "GOOGLE")):
            monkeypatch.delenv(name)
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("RUSTUP_HOME", "CARGO_HOME"):  # the toolchain stays where it is
        place = Path(os.environ.get(name, Path.home() / f".{name.split('_')[0].lower()}"))
        monkeypatch.setenv(name, str(place))
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    yield


def checkout_fixture(name: str) -> Callable[[pytest.TempPathFactory], Path]:
    """The fixture `root` of a file: one checkout for all its tests."""

    @pytest.fixture(scope="module")
    def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
        return checkout(tmp_path_factory.mktemp(name))

    return root


def campaign_fixture(**variables: str) -> Callable[..., Iterator[Campaign]]:
    """The fixture `mine` of a file: a new campaign, no account but what these variables hold."""

    @pytest.fixture
    def mine(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Campaign]:
        with clean_environment(monkeypatch, tmp_path / "home"):
            for name, value in variables.items():
                monkeypatch.setenv(name, value)
            yield fresh(root)

    return mine


@contextlib.contextmanager
def dying_program(mine: Campaign, name: str, *readable: Path) -> Iterator[str]:
    """A vendor's program that a watcher kills once it has written `half` into the kernel."""
    wrapper, real = mine.root / ".lar" / "bin" / f"{name}-that-dies", program(name)
    wrapper.write_text(
        f'#!/bin/sh\nexec 3<&0\n"{real}" "$@" <&3 &\nchild=$!\n'
        f'for i in $(seq 400); do grep -q half "{mine.kernel_path}" && break; sleep 0.05; done\n'
        "kill -9 $child\nexit 1\n"
    )
    wrapper.chmod(0o755)
    places = (wrapper.parent, *(readable or (Path(real).parent,)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAR_AGENT_READABLE", ":".join(map(str, places)))
        yield str(wrapper)


def assert_half_a_file_is_lost(mine: Campaign, progress: Progress) -> None:
    """After a crash in mid-turn: no trial, and the champion is back."""
    assert not progress.done and "ended in mid-turn" in progress.complaints[0]
    assert mine.read_kernel() == mine.read_champion()
    assert_whole(mine)
