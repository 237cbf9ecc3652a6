"""The flow of control of one function: basic blocks, dominators, innermost loops.

    graph = build_graph(function, isa)
    for loop in find_innermost_loops(graph):
        loop.blocks, loop.depth

Dominators: Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm" (2001). A natural loop
is a jump back to a block that dominates it, and all blocks that reach the jump without passing it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lance_autoresearch.explain.assembly import Function, Instruction
from lance_autoresearch.explain.isa import Isa


@dataclass(frozen=True, slots=True)
class Graph:
    """Basic blocks of one function; block 0 is its entry."""

    blocks: tuple[tuple[Instruction, ...], ...]
    after: tuple[tuple[int, ...], ...]
    """Blocks that may follow each block."""


@dataclass(frozen=True, slots=True)
class NaturalLoop:
    """A loop that contains no other."""

    head: int
    blocks: tuple[int, ...]
    """In the order of the listing."""
    depth: int
    """Loops around it, itself included."""


def build_graph(function: Function, isa: Isa) -> Graph:
    """Cut a function at labels and behind jumps."""
    cut: list[list[Instruction]] = [[]]
    for instruction in function.body:
        if instruction.labels and cut[-1]:
            cut.append([])
        cut[-1].append(instruction)
        if isa.ends_block(instruction):
            cut.append([])
    blocks = tuple(tuple(block) for block in cut if block)
    place = {label: i for i, block in enumerate(blocks) for label in block[0].labels}
    return Graph(blocks, tuple(_list_following(i, blocks, place, isa) for i in range(len(blocks))))


def _list_following(
    i: int, blocks: Sequence[Sequence[Instruction]], place: Mapping[str, int], isa: Isa
) -> tuple[int, ...]:
    last = blocks[i][-1]
    after = [place[label] for label in isa.list_jump_labels(last) if label in place]
    if isa.falls_through(last) and i + 1 < len(blocks):
        after.append(i + 1)
    return tuple(dict.fromkeys(after))


def find_innermost_loops(graph: Graph) -> list[NaturalLoop]:
    """Loops without a loop inside, in the order of the listing."""
    order = _list_reverse_postorder(graph)
    before = _list_before(graph)
    above = _find_dominators(before, order)
    bodies: dict[int, set[int]] = {}
    for block in order:
        for head in graph.after[block]:
            if _dominates(head, block, above):
                bodies.setdefault(head, {head}).update(_collect_body(head, block, before))
    return [
        NaturalLoop(head, tuple(sorted(body)), sum(head in other for other in bodies.values()))
        for head, body in sorted(bodies.items())
        if not any(other in body for other in bodies if other != head)
    ]


def _list_reverse_postorder(graph: Graph) -> list[int]:
    """Blocks that the entry reaches, each before those that follow it (loops aside)."""
    order: list[int] = []
    seen = {0}
    stack = [(0, iter(graph.after[0]))] if graph.blocks else []
    while stack:
        block, rest = stack[-1]
        following = next((b for b in rest if b not in seen), None)
        if following is None:
            order.append(block)
            stack.pop()
        else:
            seen.add(following)
            stack.append((following, iter(graph.after[following])))
    return order[::-1]


def _list_before(graph: Graph) -> list[list[int]]:
    before: list[list[int]] = [[] for _ in graph.blocks]
    for block, after in enumerate(graph.after):
        for other in after:
            before[other].append(block)
    return before


def _find_dominators(before: Sequence[Sequence[int]], order: Sequence[int]) -> dict[int, int]:
    """The closest dominator of each block that the entry reaches."""
    number = {block: i for i, block in enumerate(order)}
    above = {0: 0} if order else {}
    changed = True
    while changed:
        changed = False
        for block in order[1:]:
            known = [b for b in before[block] if b in above]
            new = known[0]
            for other in known[1:]:
                new = _find_common(new, other, above, number)
            if above.get(block) != new:
                above[block], changed = new, True
    return above


def _find_common(a: int, b: int, above: Mapping[int, int], number: Mapping[int, int]) -> int:
    while a != b:
        while number[a] > number[b]:
            a = above[a]
        while number[b] > number[a]:
            b = above[b]
    return a


def _dominates(a: int, b: int, above: Mapping[int, int]) -> bool:
    while b != a:
        if b == above[b]:
            return False
        b = above[b]
    return True


def _collect_body(head: int, tail: int, before: Sequence[Sequence[int]]) -> set[int]:
    body, left = {head, tail}, [tail] if tail != head else []
    while left:
        for block in before[left.pop()]:
            if block not in body:
                body.add(block)
                left.append(block)
    return body
