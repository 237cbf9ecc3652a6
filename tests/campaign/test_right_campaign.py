"""The campaign, the kernel and the champion that are meant, or an error: never another one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from campaign_parts import FIRST, TARGET, checkout, git, kept, kernel
from tiers import fast_for

from lance_autoresearch.campaign import campaign
from lance_autoresearch.campaign.campaign import Campaign
from lance_autoresearch.campaign.driving import drive_loop
from lance_autoresearch.campaign.kernel_under_test import find_newest_campaign, resolve_kernel
from lance_autoresearch.campaign.quoting import choose_kernel
from lance_autoresearch.campaign.tally import Budget
from lance_autoresearch.errors import LarError, UsageError
from lance_autoresearch.targets.champion import find_kernel_path, read_champion

LAR = Path(sys.executable).parent / "lar"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def two(tmp_path: Path) -> tuple[Campaign, Campaign]:
    """Campaigns a and b on one target; a has kept a kernel, so that its champion is its own."""
    root = checkout(tmp_path / "r")
    shutil.copytree(ROOT / "targets" / TARGET, root / "targets" / TARGET, dirs_exist_ok=True)
    shutil.rmtree(root / "targets" / TARGET / "kernel", ignore_errors=True)
    made = [
        campaign.create_campaign(root, TARGET, FIRST, origin="upstream", era="14.0.2", name=name)
        for name in "ab"
    ]
    kept(made[0], 1)
    return made[0], made[1]


def test_a_missing_kernel_is_named_and_no_other_campaign_takes_its_place(
    two: tuple[Campaign, Campaign]
) -> None:
    a, b = two
    b.kernel_path.unlink()
    with pytest.raises(UsageError, match=r"campaign 'b'.*has lost its kernel") as caught:
        resolve_kernel(b.root, TARGET, None, b.root)
    assert caught.value.where == f".lar/work/b/{b.desk.kernel}"
    restore = (caught.value.next or "").partition(" (")[0]
    subprocess.run(restore, shell=True, cwd=b.root, check=True, capture_output=True)
    assert resolve_kernel(b.root, TARGET, None, b.root).text == FIRST
    assert resolve_kernel(b.root, TARGET, None, a.worktree).campaign == a


def test_a_missing_worktree_is_named_and_comes_back_as_the_error_says(
    two: tuple[Campaign, Campaign]
) -> None:
    _, b = two
    shutil.rmtree(b.worktree)
    with pytest.raises(UsageError, match="campaign 'b'") as caught:
        resolve_kernel(b.root, TARGET, None, b.root)
    restore = (caught.value.next or "").partition(" (")[0]
    subprocess.run(restore, shell=True, cwd=b.root, check=True, capture_output=True)
    assert campaign.repair_campaigns(b.root) == []
    assert resolve_kernel(b.root, TARGET, None, b.root).campaign == b


def test_a_loop_does_not_go_to_another_campaign(two: tuple[Campaign, Campaign]) -> None:
    from lance_autoresearch.agents import load_agent

    _, b = two
    b.kernel_path.unlink()
    with pytest.raises(UsageError, match="campaign 'b'"):
        drive_loop(b.root, TARGET, load_agent("tune")(), Budget(trials=1))


def test_bench_quotes_the_newest_campaign_whether_its_worktree_is_there_or_not(
    two: tuple[Campaign, Campaign]
) -> None:
    a, b = two
    shutil.rmtree(b.worktree)
    assert find_newest_campaign(b.root, TARGET) == b
    assert choose_kernel(b.root, TARGET, None, None, False) == FIRST != a.read_champion()


@pytest.mark.parametrize("what", ["gone", "dangling link", "named pipe", "directory"])
def test_a_committed_champion_that_is_missing_is_not_replaced_by_lances_code(
    tmp_path: Path, what: str
) -> None:
    root = checkout(tmp_path / "r")
    path = find_kernel_path(root, TARGET)
    assert read_champion(root, TARGET) is None, "none was committed"
    path.parent.mkdir()
    path.write_bytes(kernel(1))
    git(root, "add", "-f", str(path))
    git(root, "commit", "-q", "-m", "champion")
    assert read_champion(root, TARGET) == kernel(1)
    path.unlink()
    if what == "dangling link":
        path.symlink_to("nowhere")
    elif what == "named pipe":
        os.mkfifo(path)
    elif what == "directory":
        path.mkdir()
    with pytest.raises(LarError):
        read_champion(root, TARGET)
    if what == "gone":
        git(root, "rm", "-q", "--cached", str(path))
        assert read_champion(root, TARGET) is None, "removed on purpose"


def said(root: Path, *words: str) -> tuple[int, str]:
    env = {**os.environ, "LAR_ROOT": str(root)}
    done = subprocess.run([LAR, *words], cwd=root, env=env, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "words",
    fast_for(
        [("log", "ham"), ("log", TARGET, "--campaign", "c"), ("status", "ham"), ("lessons", "ham"),
         ("report", "ham"), ("report", TARGET, "--campaign", "c"),
         ("loop", TARGET, "--campaign", "c"), ("log", "--export", "c"), ("start", "ham"),
         ("try", "ham"), ("bench", "ham"), ("diff", "999")],
        ("log", "ham"), ("report", TARGET, "--campaign", "c"), ("loop", TARGET, "--campaign", "c"),
        ("try", "ham"), ("diff", "999"),
    ),
)  # fmt: skip
def test_a_name_that_is_nowhere_is_an_error_in_every_command(
    two: tuple[Campaign, Campaign], words: tuple[str, ...]
) -> None:
    code, text = said(two[0].root, *words)
    assert code == 64, (code, text)
    assert text.startswith("error: ") and "next:" in text


def test_the_worktree_of_another_checkout_is_not_ours(two: tuple[Campaign, Campaign]) -> None:
    a, _ = two
    env = {**os.environ, "LAR_ROOT": str(ROOT)}
    done = subprocess.run([LAR, "try", TARGET], cwd=a.worktree, env=env, capture_output=True,
                          text=True)
    assert done.returncode == 64 and "belongs to the checkout" in done.stderr
