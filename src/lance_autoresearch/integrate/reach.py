"""Which kernels a query class reaches, how often, with which sizes, and for how much of its time.

    calls = watch_class(space, "pq128-n16", hooks, core=1, features=word)

Counters and ticks are those of the process itself. Of Lance's own code behind the hook (the
control) they are facts; of a candidate they are its own word, and are shown beside the measured
effect only.
"""

from __future__ import annotations

from collections.abc import Sequence

from lance_autoresearch.integrate.server import Hook, ServerFault, start_server
from lance_autoresearch.integrate.workspace import Workspace
from lance_autoresearch.records import KernelCalls

_QUERIES = 40
"""Queries of one look."""
LOOKS = 3
"""Looks, each at a process of its own: the time of one alone differs by half (dictionary: 192, 264
and 275 us a call, zen3, 2026-11-30)."""


def watch_class(
    space: Workspace, name: str, hooks: Sequence[Hook], *, core: int, features: int,
    looks: int = LOOKS,
) -> tuple[KernelCalls, ...]:  # fmt: skip
    """Calls of each op behind the hooks during some warm queries. Raises ServerFault.

    Of several looks each op has the one with its median time per call.
    """
    seen = [_look(space, name, hooks, core, features) for _ in range(looks)]
    return tuple(_take_middle(calls) for calls in zip(*seen, strict=True))


def _take_middle(calls: Sequence[KernelCalls]) -> KernelCalls:
    return sorted(calls, key=lambda one: one.ns_per_call)[len(calls) // 2]


def _look(
    space: Workspace, name: str, hooks: Sequence[Hook], core: int, features: int
) -> tuple[KernelCalls, ...]:
    with start_server(space, [name], hooks=hooks, core=core, features=features) as server:
        server.run_queries(name, 0, _QUERIES // 4)
        before = {row["op"]: row for row in server.read_counters()}
        server.ask("watch")
        words = server.ask(f"run {name} 0 {_QUERIES}").split()
        after = server.read_counters()
    try:
        nanoseconds, ticks = int(words[1]), int(words[2])
        rate = ticks / nanoseconds
        return tuple(_describe(row, before[row["op"]], ticks, rate) for row in after)
    except (IndexError, ValueError, KeyError, TypeError, ZeroDivisionError):
        raise ServerFault(f"its counters make no sense: {words[:3]}") from None


def _describe(row: dict, before: dict, ticks: int, rate: float) -> KernelCalls:  # type: ignore[type-arg]
    calls = int(row["calls"]) - int(before["calls"])
    inside = int(row["ticks"]) - int(before["ticks"])
    sizes = tuple(tuple(int(count) for count in bins) for bins in row["sizes"])
    return KernelCalls(
        op=str(row["op"]),
        calls=calls,
        units=int(row["units"]) - int(before["units"]),
        share=inside / ticks if ticks else 0.0,
        ns_per_call=inside / rate / calls if calls else 0.0,
        dims=(str(row["dims"][0]), str(row["dims"][1])),
        sizes=(sizes[0], sizes[1]),
    )
