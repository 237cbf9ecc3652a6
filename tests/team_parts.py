"""What the tests of several agents share: a toy champion with planted delays, and a quick judge.

The kernel of `_toy` has a delay in each of its two ops, which scripted agents lower (`toy_delays`).
`QuickCoordinator` judges by these constants and measures nothing, so that a test of queues, kills
and limits takes no minute and does not depend on a quiet machine. Ledger, git, worktrees, sandboxes
and agents' processes are the real ones. It writes its rows as the coordinator does.
"""

from __future__ import annotations

import itertools
import json
import shlex
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from agent_parts import AT_ONCE
from campaign_parts import git
from toy_delays import OPS, TOY, plant_delays, read_delays, set_delay

from lance_autoresearch.agents import (
    Agent,
    AgentFailed,
    Proposal,
    Settings,
    Turn,
    make_agent,
)
from lance_autoresearch.campaign.campaign import Campaign, create_campaign, verify_ledger
from lance_autoresearch.campaign.coordinator import Coordinator, FinishedTrial, Story
from lance_autoresearch.campaign.lineages import TeamPlan
from lance_autoresearch.campaign.loop import Budget, Progress, run_loop
from lance_autoresearch.host.git import Git
from lance_autoresearch.judge.job import JudgedTrial, hash_text
from lance_autoresearch.ledger import Ledger, Row
from lance_autoresearch.records import Reason, ReasonKind, Results, Verdict

_NUMBERS = itertools.count(1)


def begin_toy(root: Path) -> Campaign:
    """A campaign whose champion has both delays."""
    name = f"toy-{next(_NUMBERS)}"
    return create_campaign(root, TOY, plant_delays(), origin="upstream", era="14.0.2", name=name)


def assert_whole(mine: Campaign) -> None:
    """Ledger, branch, index and the campaign's worktree agree, and the chain is whole."""
    assert verify_ledger(mine.root).fault is None
    champion = mine.read_champion()
    assert Git(mine.root).read_file(mine.branch, mine.desk.kernel) == champion
    assert mine.read_kernel() == champion
    assert git(mine.worktree, "status", "--porcelain") == ""
    assert git(mine.root, "status", "--porcelain") == ""


class QuickCoordinator(Coordinator):
    """Judges by the planted delays: fewer steps are kept, as many or more are not.

    What is not kept is called incorrect: a loop explains the machine code of reverted trials, which
    takes seconds each.
    """

    seconds = 0.0
    """How long a trial takes."""

    def attempt(
        self, text: bytes, story: Story, campaign: Campaign | None = None, *, earlier: object = ()
    ) -> FinishedTrial:
        """A row as the coordinator writes it, without a measurement."""
        time.sleep(self.seconds)
        mine, theirs = (sum(read_delays(t).values()) for t in (text, self.champion_text))
        kept = len(read_delays(text)) == len(OPS) and mine < theirs
        verdict, kind = (
            (Verdict.KEEP, ReasonKind.CONFIRMED) if kept else (Verdict.INCORRECT, ReasonKind.SLOWER)
        )
        reason = Reason(kind, "all")
        judged = JudgedTrial(
            verdict, reason, Results(reason=reason), kernel_digest=hash_text(text),
            champion_digest=hash_text(self.champion_text),
            provenance=self.bench.provenance(self.policy), host=dict(self.bench.machine),
            toolchain=self.bench.toolchain,
        )  # fmt: skip
        return self.record(text, judged, story, campaign)


@dataclass
class Finished:
    """A loop that ended, and what it showed."""

    progress: Progress
    shown: list[str] = field(default_factory=list)


def run_team(
    mine: Campaign, agents: list[Agent], seconds: float = 0.0, report: object = None,
    lineages: int = 1, **limits: int,
) -> Finished:
    """A loop of several agents with the quick judge."""
    shown: list[str] = []
    with QuickCoordinator(mine.root, TOY, champion=mine.read_champion()) as coordinator:
        coordinator.seconds = seconds
        progress = run_loop(
            coordinator, mine, agents[0], Budget(**limits), shown.append,
            report or (lambda _done: None), team=TeamPlan(agents, lineages), patience=AT_ONCE,
        )  # type: ignore[arg-type]
    return Finished(progress, shown)


class Author:
    """An agent inside this process: it plays a list of candidates and notes its turns."""

    def __init__(self, name: str, *ideas: object, seconds: float = 0.0) -> None:
        self.name, self.ideas, self.seconds = name, list(ideas), seconds
        self.turns: list[Turn] = []

    def propose(self, turn: Turn) -> Proposal | None:
        """The next idea: a function of the turn, a failure, or None: nothing is left."""
        self.turns.append(turn)
        time.sleep(self.seconds)
        idea = self.ideas.pop(0) if self.ideas else None
        if isinstance(idea, AgentFailed):
            raise idea
        return idea(turn) if callable(idea) else None

    def take_notes(self) -> list[str]:
        """None."""
        return []


def lowers(op: str, to: int, cost: float | None = None):
    """An idea: one op's delay on top of the champion of the turn."""
    return lambda turn: Proposal(set_delay(turn.champion, op, to), f"{op} {to}", cost_usd=cost)


def slower(n: int, cost: float | None = None):
    """An idea that is not kept."""
    return lambda turn: Proposal(turn.champion + b"// %d\n" % n, f"slower {n}", cost_usd=cost)


def scripted(body: str, seconds: float = 0.0) -> Agent:
    """A command agent: Python with `text` and `turn` (from 1), the kernel it leaves is `text`.

    It notes in its home when each turn began and ended and where it ran (`turns.jsonl`), and its
    last prompt (`prompt`). `idea` is its hypothesis, `cost` what it says a turn costs.
    """
    script = f"""
import json, os, pathlib, re, sys, time
home, kernel = pathlib.Path(os.environ["HOME"]), pathlib.Path("kernels.rs")
(home / "prompt").write_text(sys.stdin.read())
begun, log = time.time(), home / "turns.jsonl"
turn = len(log.read_text().splitlines()) + 1 if log.exists() else 1
text, idea, cost = kernel.read_text(), f"turn {{turn}}", None
time.sleep({seconds})
{body}
kernel.write_text(text)
with log.open("a") as file:
    row = dict(begun=begun, ended=time.time(), place=os.getcwd(), home=str(home))
    print(json.dumps(row), file=file)
print(json.dumps(dict(hypothesis=idea, cost_usd=cost)))
"""
    python = f"/usr/bin/env python3 -c {shlex.quote(script)}"
    return make_agent(f"cmd:{python}", Settings())


LOWER = (
    "text = re.sub(r'(const {op}_DELAY: u32 = )(\\d+)', "
    "lambda m: m[1] + str(max(0, int(m[2]) - {step})), text)"
)
"""Body of a scripted agent that lowers one delay by a step."""
SAME = "text += f'// {os.environ[\"HOME\"][-12:]} {turn} {time.time()}\\n'"
"""Body of a scripted agent whose every candidate is new and no faster."""


def lower(op: str, step: int = 100) -> str:
    """Lower one op's delay by a step."""
    return LOWER.replace("{op}", op).replace("{step}", str(step))


def read_turns(mine: Campaign) -> list[dict[str, object]]:
    """The turns of all agents of a campaign, by their end."""
    logs = (mine.root / ".lar" / "loops" / mine.name / "agent").glob("*/cmd/turns.jsonl")
    rows = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    return sorted(rows, key=lambda row: float(row["ended"]))


def read_prompt(mine: Campaign, number: int) -> str:
    """The last prompt of an agent."""
    home = mine.root / ".lar" / "loops" / mine.name / "agent" / str(number) / "cmd"
    return (home / "prompt").read_text()


def list_rows(mine: Campaign) -> list[Row]:
    """A campaign's trials."""
    with Ledger.open(mine.root) as ledger:
        return ledger.list_trials(campaign=mine.name)


if __name__ == "__main__":  # the loop that a test kills: ROOT CAMPAIGN SECONDS
    root, name, pace = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    team = [scripted(lower("BLEND", 1), pace), scripted(lower("COMPACT", 1), pace),
            scripted(SAME, pace)]
    print("ready", flush=True)
    run_team(Campaign(root, name, TOY), team, pace / 3,
             lambda done: print(done.number, done.record.verdict, flush=True), trials=10_000)
