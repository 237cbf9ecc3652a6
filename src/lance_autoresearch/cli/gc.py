"""`lar gc`: bounded disk."""

from __future__ import annotations

import json as json_module
import shutil
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lance_autoresearch.campaign.tally import LOOP_LOCK
from lance_autoresearch.host import checkout, scratch
from lance_autoresearch.host.lock_files import is_locked

DAY_S = 86_400.0
FRESH_S = 3_600.0
"""Data used within the last hour may be in use now: it stays at any limit."""
WORTH_NAMING = 100_000_000
"""Bytes from which an agent's home is named although nothing is over a limit."""
PRODUCTS = ("kernels", "bare", "fidelity", "integrated")
"""Caches under .lar/cache that grow with every trial or release."""


class DisposableDir(NamedTuple):
    """A directory that may go: it can be made again, or is not needed any more."""

    path: Path
    bytes: int
    used: float
    """When it was last used, seconds since the epoch."""


def collect_garbage(
    *,
    days: float = 30.0,
    max_gb: float | None = None,
    integrate: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """Free disk space: drop old blobs and builds, never a row.

    Blobs are kernels and raw pairs of trials; champions and everything younger than --days stay.
    A dropped build is made again on demand, a dropped blob is gone. The private homes of agents and
    the scratch of killed processes go with the builds. With --max-gb younger ones follow, builds
    before blobs, oldest first, until .lar is that small; data used within the last hour stays.

    Args:
        days: how old it must be; with 0 nothing else should be running.
        max_gb: largest size of .lar, in GB (1e9 bytes).
        integrate: also drop the patched Lance and its datasets (`lar integrate setup` makes them).
        dry_run: only list what would be dropped.
        json: print one object.
    """
    from lance_autoresearch.campaign.campaign import repair_campaigns
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.ledger import Ledger

    if max_gb is not None and max_gb <= 0:
        raise UsageError("--max-gb must be more than 0", next="./lar gc --max-gb 5 --dry-run")
    root = checkout.find_root()
    repair_campaigns(root)
    took, now = measure_size(checkout.ensure_lar_dir(root)), time.time()
    over = 0 if max_gb is None else max(0, took - int(max_gb * 1e9))
    dropped = choose_disposable(list_disposable(root), now, days, over)
    builds = sum(thing.bytes for thing in dropped)
    with Ledger.open(root) as ledger:
        blobs = ledger.drop_old_blobs(days=days, at_least=max(0, over - builds), dry_run=dry_run)
    if not dry_run:
        for thing in dropped:
            shutil.rmtree(thing.path, ignore_errors=True)
    if integrate:
        builds += drop_workspaces(root, dry_run)
    freed = builds + sum(blob.stored for blob in blobs)
    body = {"v": 1, "blobs": len(blobs), "builds": len(dropped), "bytes": freed,
            "left": took - freed, "dry_run": dry_run,
            "largest": list_largest(root, {thing.path for thing in dropped})}
    print(json_module.dumps(body) if json else format_summary(body, over))
    return 0


def drop_workspaces(root: Path, dry_run: bool) -> int:
    """Delete what `lar integrate setup` made; its bytes. MachineError if it is in use."""
    from lance_autoresearch.integrate.setup import remove_workspace
    from lance_autoresearch.integrate.workspace import PROGRAMS, describe_workspace

    total = 0
    for space in (describe_workspace(root, program) for program in PROGRAMS):
        if space.home.is_dir():
            total += measure_size(space.home) if dry_run else remove_workspace(space)
    return total


def format_summary(body: dict[str, Any], over: int) -> str:
    """The freed bytes, and the places of the rest if it is still too much."""
    would = "would free" if body["dry_run"] else "freed"
    text = (
        f"{would} {body['bytes'] / 1e6:.1f} MB: {body['blobs']} blobs, {body['builds']} builds; "
        f".lar has {body['left'] / 1e9:.2f} GB"
    )
    missing = over - body["bytes"]
    if missing > 0:
        text += f"\n{missing / 1e9:.2f} GB over the limit; the largest parts that stay:"
    for part in body["largest"]:
        if missing > 0 or (part["agent"] and part["bytes"] >= WORTH_NAMING):
            text += f"\n  {part['bytes'] / 1e9:8.2f} GB  {part['path']}"
            text += f"  (home of an agent: {part['why']})" if part["agent"] else ""
    return text


def list_largest(root: Path, dropped: Collection[Path]) -> list[dict[str, Any]]:
    """The five largest parts of .lar that stay: agents' homes one by one, else its directories."""
    from lance_autoresearch.campaign.tally import LOOP_LOCK

    lar = checkout.ensure_lar_dir(root)
    homes = [home for home in (lar / "loops").glob("*/agent") if home not in dropped]
    parts = [(home, True) for home in homes]
    parts += [(path, False) for path in lar.iterdir() if path.name != "loops"]
    sizes = [(measure_size(path) if path.is_dir() else path.lstat().st_size, path, agent)
             for path, agent in parts if path.exists()]
    return [
        {"path": str(path.relative_to(root)), "bytes": size, "agent": agent,
         "why": "its loop runs" if agent and is_locked(path.parent / LOOP_LOCK) else "used lately"}
        for size, path, agent in sorted(sizes, reverse=True)[:5]
    ]


def list_disposable(root: Path) -> list[DisposableDir]:
    """Builds, homes of agents, forgotten scratch directories; least recently used first."""
    lar = checkout.ensure_lar_dir(root)
    found = [path for kind in PRODUCTS for path in (lar / "cache" / kind).glob("*")]
    found += scratch.list_abandoned(root)
    found += (lar / "demo").glob("*")
    made = [
        DisposableDir(path, measure_size(path), _find_last_use(path))
        for path in found
        if path.is_dir()
    ]
    return sorted(
        [*made, *_list_agent_homes(lar), *_list_programs(lar)], key=lambda thing: thing.used
    )


def _list_agent_homes(lar: Path) -> list[DisposableDir]:
    """Private homes of agents whose loop does not run; the loop's own file stays."""
    homes = [*(lar / "loops").glob("*/agent"), *(lar / "loops").glob("*/trees")]
    return [
        DisposableDir(
            home,
            measure_size(home),
            max(_find_last_use(home), _find_last_use(home.parent / "loop.json")),
        )
        for home in homes
        if home.is_dir() and not is_locked(home.parent / LOOP_LOCK)
    ]


def _list_programs(lar: Path) -> list[DisposableDir]:
    """The vendors' programs that the tests install; installed again when they are needed."""
    home = lar / "agents"
    if not home.is_dir():
        return []
    return [
        DisposableDir(
            home, measure_size(home), max(_find_last_use(home), _find_last_use(lar / "agents.lock"))
        )
    ]


def choose_disposable(
    found: Sequence[DisposableDir], now: float, days: float, over: int
) -> list[DisposableDir]:
    """Those older than `days`, then as many as free `over` bytes; none of the last hour's."""
    picked, freed = [], 0
    for thing in found:
        age = now - thing.used
        if age >= days * DAY_S or (age >= FRESH_S and freed < over):
            picked.append(thing)
            freed += thing.bytes
    return picked


def measure_size(path: Path) -> int:
    """Bytes of all files below a directory; files that vanish meanwhile count nothing."""
    return sum(_list_lengths(path.rglob("*")))


def _list_lengths(paths: Iterable[Path]) -> Iterable[int]:
    for path in paths:
        try:
            about = path.lstat()
        except OSError:
            continue
        yield about.st_size


def _find_last_use(path: Path) -> float:
    """When it was last changed; a missing file was never, a vanished directory is no matter."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
