"""Parts the ledger's and campaigns' tests share: a real repository, plausible records."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from lance_autoresearch.campaign import campaign
from lance_autoresearch.host.git import Git
from lance_autoresearch.ledger import hash_bytes
from lance_autoresearch.ledger.results_json import decode_results
from lance_autoresearch.records import TrialRecord, Verdict

TARGET = "pq-l2"
FIRST = b"// first kernel\npub fn scan8() {}\n"


def kernel(n: int) -> bytes:
    """A kernel of our own writing, different for every n."""
    return b"// kernel %d\npub fn scan8() {}\n" % n


def record(
    text: bytes, champion: bytes, verdict: Verdict = Verdict.REVERT, **more: Any
) -> TrialRecord:
    """A trial as the coordinator would record it; its typed reason follows from the sentence."""
    fields: dict[str, Any] = {
        "target": TARGET,
        "verdict": verdict,
        "reason": "slower",
        "kernel": hash_bytes(text),
        "champion": hash_bytes(champion),
        "hypothesis": "unroll by four",
        "gain": 2.5,
        "low": 1.25,
        "high": 3.75,
        "phases": {"build": 0.21},
        "immutable": {"upstream": "ab" * 32},
        "machine": {"cpu": "Zen 4"},
        "toolchain": "rustc 1.95.0",
        "epoch": "e1",
        "burnt_seeds": (1, 2**63 + 5),
    }
    fields |= more
    fields.setdefault("results", decode_results({"checked": 1812}, fields["reason"]))
    return TrialRecord(**fields)


def git(cwd: Path, *args: str) -> str:
    """The user's own git, as a person would run it in a test repository."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", "-c", "user.name=P", "-c", "user.email=p@example.org", *args],
        cwd=cwd,
        env=env,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


def checkout(directory: Path) -> Path:
    """A user's checkout with one commit, `.lar/` and kernels ignored as in ours."""
    (directory / "targets" / TARGET).mkdir(parents=True)
    (directory / "targets" / TARGET / "program.md").write_text("try things\n")
    (directory / ".gitignore").write_text(".lar/\n/targets/*/kernel/kernels.rs\n")
    (directory / "upstream.toml").write_text('version = "14.0.2"\n')
    git(directory, "init", "-q", "-b", "main")
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "-m", "start")
    return directory


def begin_campaign(place: Path) -> campaign.Campaign:
    """A fresh campaign in a fresh checkout."""
    return campaign.create_campaign(checkout(place), TARGET, FIRST, origin="upstream", era="14.0.2")


def kept(mine: campaign.Campaign, n: int) -> bytes:
    """Keep kernel n over whatever is champion now."""
    text = kernel(n)
    mine.kernel_path.write_bytes(text)
    mine.record_trial(record(text, mine.read_champion(), Verdict.KEEP), text)
    return text


def tip(mine: campaign.Campaign) -> bytes | None:
    """The kernel at the tip of the campaign's branch."""
    return Git(mine.root).read_file(mine.branch, mine.desk.kernel)
