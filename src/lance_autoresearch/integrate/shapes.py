"""The sizes with which queries call a kernel, beside those that trials time.

    for line in compare_shapes(space, "hamming", say): print(line)

The hook counts the calls of Lance's own code by size, in bins of powers of two; no data is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lance_autoresearch.host.machine import list_cores
from lance_autoresearch.integrate.classes import load_classes
from lance_autoresearch.integrate.features import find_features
from lance_autoresearch.integrate.library import build_control
from lance_autoresearch.integrate.reach import watch_class
from lance_autoresearch.integrate.server import Hook
from lance_autoresearch.integrate.setup import hold_workspace, list_classes
from lance_autoresearch.integrate.state import require_ready
from lance_autoresearch.integrate.workspace import Workspace
from lance_autoresearch.records import KernelCalls
from lance_autoresearch.targets.catalogue import load_target


def compare_shapes(space: Workspace, target: str, say: Callable[[str], None]) -> list[str]:
    """Lines for people: per class and op the sizes seen, then the timed combos.

    Raises:
        MachineError: not set up, or Lance failed.
        UsageError: the target has no integration.
    """
    plan = load_classes(space.root, target, space.program)
    hook = Hook(target, build_control(space.root, target))
    core, features = list_cores()[-1], find_features()
    with hold_workspace(space):
        datasets = list_classes(space) if space.binary.is_file() else {}
        require_ready(space, {datasets[name] for name in plan.all if datasets.get(name)})
        seen = {}
        for name in plan.all:
            say(f"looking at {name}")
            seen[name] = watch_class(space, name, [hook], core=core, features=features, looks=1)
    return [*_list_seen(seen), "", *_list_timed(space, target)]


def _list_seen(seen: Mapping[str, Sequence[KernelCalls]]) -> list[str]:
    lines = ["what queries call:"]
    for name, calls in seen.items():
        reached = [one for one in calls if one.calls]
        if not reached:
            lines.append(f"  {name}: no call")
        for one in reached:
            pairs = zip(one.dims, one.sizes, strict=True)
            sizes = "; ".join(f"{dim} {describe_bins(bins)}" for dim, bins in pairs)
            lines.append(f"  {name} {one.op}: {one.calls} calls, {sizes}")
    return lines


def _list_timed(space: Workspace, target: str) -> list[str]:
    lines = ["what trials time:"]
    for combo in load_target(space.root, target).timed:
        shape = ", ".join(f"{dim} {size}" for dim, size in combo.shape.items())
        lines.append(f"  {combo.op}: {shape}, {combo.dist}")
    return lines


def describe_bins(bins: Sequence[int]) -> str:
    """`4096-8191 (93 %), 2048-4095 (7 %)`: most frequent first, at most four."""
    total = sum(bins)
    ranked = sorted(((count, i) for i, count in enumerate(bins) if count), reverse=True)[:4]
    return ", ".join(f"{_name_bin(i)} ({100 * count / total:.0f} %)" for count, i in ranked)


def _name_bin(index: int) -> str:
    if index < 2:
        return str(index)
    return f"{1 << (index - 1)}-{(1 << index) - 1}"
