"""`lar loop`: an agent drives trials until a budget is spent."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from lance_autoresearch.host import checkout

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lance_autoresearch.agents import Agent, Settings
    from lance_autoresearch.campaign.tally import Budget

EXIT_AGENT = 4
MOST_AGENTS = 64
"""Threads and worktrees of one loop: far above what one judge can serve."""
EXIT_SIGNAL = 128
"""Added to the number of the signal that ended the loop, as shells do."""
PAID = {
    "claude": "--agent claude --budget-usd 5",
    "codex": "--agent codex --trials 20",
    "gemini": "--agent 'acp:gemini --acp' --trials 20",
    "opencode": "--agent 'acp:opencode acp' --trials 20",
    "cursor-agent": "--agent 'acp:cursor-agent acp' --trials 20",
}
"""Agents that spend money and how to ask for them; named when found, never started unasked."""
DEFAULT_AGENT = "rewrite"
PLATEAU = 30
"""Trials without a keep after which the default agent's loop ends if no limit was given: three
candidates of each kind of rewrite. It decides no trial."""
FIRST = {"replay": "upstream"}
"""Where a target's first campaign begins, by agent; the others begin at its champion, if any."""


@Parameter(name="*")
@dataclass(frozen=True)
class LoopLimits:
    """When the loop ends; the first limit reached."""

    trials: int | None = None
    """Stop after this number of trials."""
    hours: float | None = None
    """Stop after this time since the beginning, by the wall clock."""
    plateau: int | None = None
    """Stop after this number of trials without a keep."""
    budget_usd: float | None = None
    """Stop once this much is spent; a turn gets at most the rest."""
    until_gain: float | None = None
    """Stop when the champion is this many % faster than the campaign's beginning."""
    max_failures: int = 5
    """Stop after this number of turns in a row without a candidate."""

    def make_budget(self, plateau: int | None = None) -> Budget:
        """The loop's own form of the limits.

        Args:
            plateau: the limit in force if none was given.

        Raises:
            UsageError: for invalid ones.
        """
        from lance_autoresearch.campaign.tally import Budget
        from lance_autoresearch.errors import UsageError

        given = (self.trials, self.hours, self.plateau, self.budget_usd, self.until_gain)
        unlimited = all(limit is None for limit in given)
        budget = Budget(self.trials, self.hours, plateau if unlimited else self.plateau,
                        self.budget_usd, self.until_gain, self.max_failures)
        if faults := budget.find_faults():
            raise UsageError("; ".join(faults))
        return budget


@Parameter(name="*")
@dataclass(frozen=True)
class ProgramOptions:
    """How a driven program is run."""

    model: str | None = None
    """The agent's model, as its program names it; for api `PROVIDER:NAME`."""
    program: str | None = None
    """Path of the agent's program, if it is not on PATH."""
    agent_args: str = ""
    """Further arguments for the program, quoted as for a shell."""
    turn_rounds: int = 40
    """Model calls of one turn at most, if the program can bound them; tool calls with acp."""
    turn_minutes: float = 30.0
    """Wall clock of one turn at most."""
    price: str | None = None
    """`IN,OUT`: USD for a million tokens, if a program reports tokens only."""

    def make_settings(self) -> Settings:
        """The driver's own form of the settings."""
        import shlex

        from lance_autoresearch.agents import Settings

        return Settings(self.model, self.program, tuple(shlex.split(self.agent_args)),
                        self.turn_rounds, self.turn_minutes, _parse_price(self.price))


def run_agent_loop(
    target: str,
    *,
    agent: Annotated[list[str] | None, Parameter(negative="")] = None,
    agents: int | None = None,
    lineages: int = 1,
    merge_after: int = 3,
    record: Path | None = None,
    limits: LoopLimits | None = None,
    campaign: str | None = None,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    resume: bool = False,
    tier: Literal["avx2", "scalar"] | None = None,
    run: ProgramOptions | None = None,
    on_keep: str | None = None,
    on_end: str | None = None,
    webhook: str | None = None,
    integrate: bool = False,
    json: bool = False,
) -> int:
    """Let an agent drive trials until a budget is spent.

    Without --agent it is `rewrite`, which needs no account: it changes the champion mechanically,
    one place at a time, and without a limit it ends after 30 trials without a keep. `tune` varies
    the constants that are marked `// tune: 1 2 4 8`, `replay` proposes the kernels of a record.
    `claude` and `codex` run Claude Code and Codex turn by turn in a sandbox, `acp:PROGRAM` any
    program of the Agent Client Protocol, `cmd:PROGRAM` any other; `api` asks the model of --model
    directly.

    With --agents N, or --agent given several times, agents work at the same time, each in a
    worktree of its own, and one judge takes their candidates in turn (docs/many-agents.md).

    Ctrl-C once finishes the turns and trial that run, twice stops at once. Exit code: 0 it ended at
    a limit, 4 the agent could not continue.

    Args:
        target: name of the target.
        agent: rewrite, tune, replay, claude, codex, api, `acp:PROGRAM ...`, `cmd:PROGRAM ...`,
            or `module:Class` of your own. Several times: several agents at the same time.
        agents: how many agents work at the same time; all limits hold for them together.
        lineages: lines of champions that several agents keep apart, to be merged later.
        merge_after: merge two lines after this number of trials without a keep in each.
        record: directory with lineage.toml, for --agent replay.
        campaign: go on with this one; by default the newest on the target, or a new one.
        from_: begin a new campaign from upstream, champion, or a trial's number. A target's first
            campaign begins from its champion, if it has one; replay begins from upstream.
        resume: go on with the interrupted loop: its agent, counts, limits and deadline.
        tier: begin a campaign that is optimised at this lower CPU tier, avx2 or scalar.
        on_keep: shell command run at every keep, the trial as JSON on its standard input.
        on_end: shell command run at the end, its summary as JSON on its standard input.
        webhook: web address that gets the same JSON by POST, at every keep and at the end.
        integrate: measure each keep in whole queries of Lance (`lar integrate setup` first); one
            that makes them slower is demoted.
        json: one JSON object a line: begin, progress, trial, end.
    """
    from lance_autoresearch.campaign.campaign import repair_campaigns
    from lance_autoresearch.campaign.driving import drive_loop
    from lance_autoresearch.campaign.hooks import Hooks
    from lance_autoresearch.campaign.lineages import TeamPlan

    root = checkout.find_root()
    _print_lines(repair_campaigns(root))
    _refuse_both(from_, resume)
    before = _list_previous_agents(root, target, campaign) if resume and not agent else ()
    names = choose_team(agent or before or (DEFAULT_AGENT,), agents)
    plateau = PLATEAU if names[0] == DEFAULT_AGENT else None
    budget, settings = (
        (limits or LoopLimits()).make_budget(plateau),
        (run or ProgramOptions()).make_settings(),
    )
    check_lineages(lineages, merge_after, len(names))
    team = [_make_driver(name, target, record, settings) for name in names]
    campaign = _choose_campaign(root, target, names[0], campaign, from_, resume, tier)
    _print_lines(getattr(team[0], "skipped", ()))
    if not agent and names[0] == DEFAULT_AGENT:
        _name_other_targets(target)
    progress = drive_loop(
        root, target, team[0], budget, campaign=campaign, json=json, resume=resume,
        kind="replay" if names[0] == "replay" else "trial", hooks=Hooks(on_keep, on_end, webhook),
        integrate="e2e" if integrate else None, team=TeamPlan(team, lineages, merge_after),
    )
    if progress.signal is not None:
        return EXIT_SIGNAL + progress.signal
    return EXIT_AGENT if progress.failed else 0


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, file=sys.stderr)


def _choose_campaign(
    root: Path, target: str, agent: str, campaign: str | None, from_: str | None, resume: bool,
    tier: str | None,
) -> str | None:  # fmt: skip
    """Name of the campaign to work in: a new one if asked for; None: the newest."""
    from lance_autoresearch.campaign.campaign import enter_tier, load_campaign
    from lance_autoresearch.campaign.kernel_under_test import find_newest_campaign

    existing = (
        load_campaign(root, campaign)
        if campaign and from_ is None
        else find_newest_campaign(root, target)
    )
    if from_ is None and (existing is not None or resume):
        enter_tier(existing, tier)
        return campaign
    enter_tier(None, tier)
    return _begin_from(root, target, from_ or FIRST.get(agent), campaign, tier)


def _make_driver(name: str, target: str, record: Path | None, settings: Settings) -> Agent:
    from lance_autoresearch.agents import load_agent, make_agent
    from lance_autoresearch.errors import UsageError

    if name != "replay":
        return make_agent(name, settings)
    if record is None:
        raise UsageError("replay needs a record", next=f"./lar loop {target} --agent replay "
                         f"--record records/ideas/{target}")
    return load_agent(name)(record)


def choose_team(named: Sequence[str], count: int | None) -> list[str]:
    """The agents of a loop, by name; with `count`, those named take turns up to that number.

    Raises:
        UsageError: fewer than are named, or an embedded agent among several: it would propose the
            same kernels twice.
    """
    from lance_autoresearch.agents import EMBEDDED
    from lance_autoresearch.errors import UsageError

    count = len(named) if count is None else count
    if not len(named) <= count <= MOST_AGENTS:
        raise UsageError(f"--agents {count} with {len(named)} named",
                         allowed=[f"{len(named)} to {MOST_AGENTS}"])
    team = [named[n % len(named)] for n in range(count)]
    twice = [name for name in EMBEDDED if team.count(name) > 1]
    if twice or (len(team) > 1 and "replay" in team):
        raise UsageError(
            f"several agents with {(twice or ['replay'])[0]}: it would propose the same kernels "
            "in each of them", allowed=["claude", "codex", "api", "acp:PROGRAM", "cmd:PROGRAM"],
        )  # fmt: skip
    return team


def check_lineages(lineages: int, merge_after: int, agents: int) -> None:
    """Raises UsageError for more lines than agents, or limits below 1."""
    from lance_autoresearch.errors import UsageError

    if not 1 <= lineages <= agents:
        raise UsageError(f"--lineages {lineages} with {agents} agents: a line needs one",
                         allowed=[f"1 to {agents}"])
    if merge_after < 1:
        raise UsageError("--merge-after must be above 0")


def _list_previous_agents(root: Path, target: str, campaign: str | None) -> Sequence[str]:
    """The agents of the loop to resume; a command line cannot be restored from its name."""
    from lance_autoresearch.campaign import campaign as campaigns
    from lance_autoresearch.campaign.kernel_under_test import find_newest_campaign
    from lance_autoresearch.campaign.tally import SEPARATOR, load_run, must_be_retyped
    from lance_autoresearch.errors import UsageError

    where = (
        campaigns.load_campaign(root, campaign) if campaign else find_newest_campaign(root, target)
    )
    run = load_run(where.desk) if where else None
    if run is not None and must_be_retyped(run.agent):
        raise UsageError(f"the interrupted loop ran {run.agent}",
                         next=f"./lar loop {target} --resume --agent ... (as before)")
    return run.agent.split(SEPARATOR) if run else ()


def _refuse_both(from_: str | None, resume: bool) -> None:
    from lance_autoresearch.errors import UsageError

    if from_ is not None and resume:
        raise UsageError("--from begins a new campaign, --resume goes on with one",
                         allowed=["--from", "--resume"])


def _begin_from(
    root: Path, target: str, from_: str | None, campaign: str | None, tier: str | None
) -> str:
    """Name of a new campaign that begins where `--from` says; None: at the champion, if any."""
    from lance_autoresearch import oracle
    from lance_autoresearch.campaign import campaign as campaigns
    from lance_autoresearch.cli.start import check_first_champion, resolve_beginning
    from lance_autoresearch.targets import catalogue

    catalogue.load_target(root, target)
    oracle.fetch_upstream(root)
    era = oracle.load_manifest(root).version
    begun = resolve_beginning(root, target, from_, era)
    check_first_champion(root, target, begun)
    return campaigns.create_campaign(
        root, target, begun.text, origin=begun.origin, era=era, parent=begun.parent, name=campaign,
        tier=tier,
    ).name  # fmt: skip


def _parse_price(text: str | None) -> tuple[float, float] | None:
    from lance_autoresearch.errors import UsageError

    if text is None:
        return None
    try:
        into, out = (float(part) for part in text.split(","))
        if into >= 0 and out >= 0:
            return into, out
    except ValueError:
        pass
    raise UsageError(f"--price '{text}' is not IN,OUT", allowed=["two numbers, such as 1.25,10"])


def _name_other_targets(target: str) -> None:
    found = [name for name in PAID if shutil.which(name)]
    if found:
        print(f"agents found here: {', '.join(found)}; `rewrite` is used, it costs nothing",
              file=sys.stderr)
        for name in found:
            print(f"  {name:12} ./lar loop {target} {PAID[name]}", file=sys.stderr)
