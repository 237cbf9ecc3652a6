"""The conditions that hold after an endurance run, and the figures of its report.

    faults(story, 500)          every way in which ledger, branch or verdicts are wrong
    left_behind(place)          files that no command needs again
    figures(story)              [("trials in the ledger", "503"), ...]
"""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from endurance_ideas import TARGET, VERDICTS

from lance_autoresearch.campaign import campaign as campaigns
from lance_autoresearch.campaign.tally import load_run
from lance_autoresearch.host import machine
from lance_autoresearch.ledger import Ledger, Row, hash_bytes
from lance_autoresearch.ledger.kinds import is_idea
from lance_autoresearch.records import Verdict

if TYPE_CHECKING:
    from endurance import Story

NAME = "endurance"
KERNEL = f"targets/{TARGET}/kernel/kernels.rs"
IDEA = re.compile(r"^idea (\d+) (\w+)")
STRAY = (".*.tmp", ".*.new", ".*.part", ".loop.json.*", "*.new", ".lar-*")
PARTS = ("ledger", "cache", "epochs", "loops", "work", "tmp", "rest")


def rows(place: Path) -> int:
    """Trials in the clone's ledger, nulls included."""
    path = place / ".lar" / "ledger.sqlite"
    if not path.exists():
        return 0
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as db:
        (count,) = db.execute("SELECT count(*) FROM trials").fetchone()
    db.close()
    return int(count)


def faults(story: Story, trials: int) -> list[str]:
    """Everything that is not as it must be in ledger, git and verdicts."""
    with Ledger.open(story.place) as ledger:
        all_rows = ledger.list_trials(campaign=NAME)
    ideas = [row for row in all_rows if is_idea(row.record.kind)]
    found = _counts(story, all_rows, ideas, trials)
    found += _doubled(ideas)
    found += _verdicts(ideas)
    found += _commits(story.place, all_rows)
    verified = campaigns.verify_ledger(story.place)
    if verified.fault is not None:
        found.append(f"the chain is broken: {verified.fault}")
    if verified.witnessed != verified.keeps:
        found.append(f"git witnesses {verified.witnessed} of {verified.keeps} commits")
    if again := campaigns.repair_campaigns(story.place):
        found.append(f"something was left to repair: {again}")
    return found


def _counts(story: Story, all_rows: list[Row], ideas: list[Row], trials: int) -> list[str]:
    found = []
    by_id = {row.id: str(row.record.verdict) for row in all_rows}
    lost = {t: v for t, v in story.announced.items() if by_id.get(t) != v}
    if lost:
        found.append(f"announced, not in the ledger as announced: {lost}")
    if sorted(by_id) != list(range(1, len(by_id) + 1)):
        found.append("trial numbers have gaps")
    run = load_run(campaigns.load_campaign(story.place, NAME).desk)
    counted = len(ideas) + (run.remembered if run else 0)
    early = run is not None and run.ended.endswith("hours are over")
    if run is None or counted > trials + 1 or (counted < trials and not early):
        found.append(f"{counted} trials counted, {trials} asked for")
    return found


def _doubled(ideas: list[Row]) -> list[str]:
    """An idea has one row, or two if the first was inconclusive and went on."""
    seen: dict[str, list[Verdict]] = {}
    for row in ideas:
        match = IDEA.match(row.record.hypothesis)
        seen.setdefault(match[1] if match else f"row {row.id}", []).append(row.record.verdict)
    return [
        f"idea {number} has rows {verdicts}" for number, verdicts in seen.items()
        if verdicts[:-1] not in ([], [Verdict.INCONCLUSIVE])
    ]


def _verdicts(ideas: list[Row]) -> list[str]:
    found = []
    for row in ideas:
        match = IDEA.match(row.record.hypothesis)
        kind, verdict = match[2] if match else "?", str(row.record.verdict)
        if verdict != "inconclusive" and verdict not in VERDICTS.get(kind, frozenset()):
            reason = row.record.reason.splitlines()[0][:120]
            found.append(f"trial {row.id}: {kind} ended as {verdict}: {reason}")
    return found


def _commits(place: Path, all_rows: list[Row]) -> list[str]:
    """The branch holds one commit for each keep, each with the whole kernel, and nothing else."""
    mine = campaigns.load_campaign(place, NAME)
    keeps = [row for row in all_rows if row.commit is not None]
    with Ledger.open(place) as ledger:
        base = ledger.find_campaign(NAME)
    assert base is not None
    listing = _git(place, "rev-list", "--reverse", f"{base.commit}..{mine.branch}").split()
    found = []
    if listing != [row.commit for row in keeps]:
        found.append(f"branch has {len(listing)} commits, the ledger {len(keeps)} keeps")
    for row in keeps:
        text = subprocess.run(["git", "show", f"{row.commit}:{KERNEL}"], cwd=place,
                              capture_output=True, check=False).stdout
        if hash_bytes(text) != row.record.kernel:
            found.append(f"commit of trial {row.id} does not hold its kernel")
    if (
        mine.read_kernel() != mine.read_champion()
        and str(all_rows[-1].record.verdict) != "inconclusive"
    ):
        found.append("the worktree does not hold the champion")
    dirt = _git(mine.worktree, "status", "--porcelain").strip()
    if dirt and str(all_rows[-1].record.verdict) != "inconclusive":
        found.append(f"the worktree is dirty: {dirt}")
    return found


def _git(cwd: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=cwd, capture_output=True, text=True,
                          check=True).stdout


# -- files -------------------------------------------------------------------------------------


def temporary(place: Path) -> Path:
    """TMPDIR of everything that is run: other people's files are not among ours."""
    directory = place / ".lar" / "endurance" / "temporary"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def left_behind(place: Path) -> list[str]:
    """Files and directories of dead processes."""
    lar = place / ".lar"
    found = [p for p in (lar / "tmp").glob("*") if not p.name.startswith("tests-")]
    for pattern in STRAY:
        found += [p for p in lar.rglob(pattern) if "upstream" not in p.parts and p.is_file()]
    found += [p for p in (lar / "work" / f".{NAME}").glob("*") if p.name != "lock"]
    found += sorted((lar / "epochs" / TARGET).glob("2*"))[1:]  # one may live
    found += temporary(place).glob("*")
    return [f"left behind: {p}" for p in dict.fromkeys(found)]


def sizes(place: Path) -> dict[str, int]:
    """Bytes below .lar, part by part."""
    made = dict.fromkeys(PARTS, 0)
    for path in (place / ".lar").rglob("*"):
        part = path.relative_to(place / ".lar").parts[0].removesuffix("-wal")
        name = "ledger" if part.startswith("ledger.") else part
        try:
            length = path.lstat().st_size if path.is_file() else 0
        except OSError:
            continue
        if name not in ("endurance", *SKIPPED):
            made[name if name in made else "rest"] += length
    return made


SKIPPED = ("upstream", "extracts", "bin")
"""Set up once, whatever the number of trials."""


# -- figures -----------------------------------------------------------------------------------


def figures(story: Story) -> list[tuple[str, str]]:
    """The report of a run."""
    with Ledger.open(story.place) as ledger:
        all_rows = ledger.list_trials(campaign=NAME)
    ideas = [row for row in all_rows if is_idea(row.record.kind)]
    verdicts = Counter(str(row.record.verdict) for row in ideas)
    nulls = [row for row in all_rows if not is_idea(row.record.kind)]
    kept = sum(row.record.verdict is Verdict.KEEP for row in nulls)
    kills = ", ".join(f"{count} {kind}" for kind, count in sorted(story.kills.items()))
    run = load_run(campaigns.load_campaign(story.place, NAME).desk)
    return [
        ("trials in the ledger", f"{len(ideas)}"),
        ("of them", ", ".join(f"{verdicts[str(v)]} {v}" for v in Verdict if verdicts[str(v)])),
        ("answered from memory, without a row", str(run.remembered if run else 0)),
        ("hidden nulls", f"{len(nulls)}, {kept} kept"),
        ("killed with SIGKILL", f"{kills}; `lar loop` was started {story.starts} times"),
        *_memory(story),
        *_disk(story, len(ideas)),
        ("wall clock", f"{story.seconds / 60:.0f} minutes"),
    ]


def _memory(story: Story) -> list[tuple[str, str]]:
    """Resident memory of the process of `lar loop` that lived for the most trials."""
    longest = max(story.lives, key=lambda life: life.seen[-1][0] - life.rows if life.seen else 0)
    seen = [(n, kib / 1024) for n, kib in longest.seen if kib]
    if not seen:
        return []
    first, last = longest.rows, seen[-1][0]
    tenths = [[mib for n, mib in seen if first + share * (last - first) <= n] or [0.0]
              for share in (0.1, 0.9)]
    early = [mib for n, mib in seen if first + 0.1 * (last - first) <= n
             <= first + 0.3 * (last - first)] or tenths[0]
    return [
        ("longest life of one `lar loop`", f"{last - first} trials"),
        ("its resident memory, median early and late",
         f"{_median(early):.0f} MiB in the 2nd and 3rd tenth, {_median(tenths[1]):.0f} MiB in the "
         f"last; at most {max(mib for _, mib in seen):.0f} MiB"),
    ]


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _disk(story: Story, trials: int) -> list[tuple[str, str]]:
    before, after, freed = story.sizes
    grown = {part: after[part] - before[part] for part in PARTS}
    each = ", ".join(f"{part} {size / trials / 1000:.0f} kB" for part, size in grown.items()
                     if size > 100 * trials)
    whole = sum(grown.values())
    return [
        ("disk, growth per trial", f"{whole / trials / 1000:.0f} kB ({each})"),
        ("disk, in all", f"{sum(before.values()) / 1e6:.0f} MB before, "
         f"{sum(after.values()) / 1e6:.0f} MB after, {sum(freed.values()) / 1e6:.0f} MB after "
         "`lar gc --days 0`"),
    ]


def write_figures(
    root: Path, trials: int, timed: float, table: list[tuple[str, str]]
) -> None:
    """docs/figures/endurance.toml, in the form tools/docs.py reads."""
    note = ("One campaign on pq-l2 by a scripted agent, with kills at random instants: no fault. "
            f"Run on {machine.describe_origin(root)}, shared with other work.")
    command = f"python tools/endurance.py --trials {trials} --timed {timed:g} --figures"
    lines = [
        f"command = {json.dumps(command)}",
        f"note = {json.dumps(note, ensure_ascii=False)}",
        'head = ["what", "found"]',
        "rows = [",
        *(f"    {json.dumps(list(row), ensure_ascii=False)}," for row in table),
        "]",
    ]
    (root / "docs" / "figures" / "endurance.toml").write_text("\n".join(lines) + "\n")
