"""The innermost loops of an op, and what can be read from their instructions.

    for loop in describe_loops(functions, "hamming", isa):
        loop.vector_bits, loop.instructions, loop.step_bytes, loop.spills

Which loop is hot is not measured: loops are ordered by the nesting around them (calls from within a
loop count), then by the width of their vectors, then by length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lance_autoresearch.explain.assembly import Function, Instruction, demangle_symbol
from lance_autoresearch.explain.flow import Graph, NaturalLoop, build_graph, find_innermost_loops
from lance_autoresearch.explain.isa import Isa

PANIC = ("panic", "slice_index_fail", "unwrap_failed", "expect_failed", "handle_alloc_error")
"""Parts of names of functions that end the program."""
PANIC_BLOCKS = 3
"""Blocks behind an exit of a loop that are searched for a panic."""
CALL_DEPTH = 6
"""How far calls are followed from an op."""


@dataclass(frozen=True, slots=True)
class LoopFacts:
    """One innermost loop."""

    function: str
    body: tuple[str, ...]
    """Instructions, in the order of the listing; jumps name labels `L0`, `L1`, ..."""
    lines: tuple[int, int] | None
    """First and last line of kernels.rs; None if debug information names none."""
    depth: int
    """Loops around it, itself included, with those that its function is called from."""
    vector_bits: int
    """Of the widest vector; 0: scalar."""
    step_bytes: int | None
    """Bytes of memory that one turn moves on by; None if the step is not visible."""
    loads: int
    stores: int
    spills: int
    """Reads and writes of slots on the stack."""
    callees: tuple[str, ...]
    """Functions that it calls; `?` for one whose name is not in the instruction."""
    checks: int
    """Exits that lead to a panic: bounds checks, overflow checks."""
    gathers: int

    @property
    def instructions(self) -> int:
        """Number of instructions of one turn, if no branch skips any."""
        return len(self.body)


@dataclass(frozen=True, slots=True)
class OpCode:
    """The code that an op may run."""

    op: str
    functions: tuple[str, ...]
    """Functions of the kernel that it reaches, itself included."""
    instructions: int
    """Of all of them."""
    loops: tuple[LoopFacts, ...]


def describe_op(functions: Mapping[str, Sequence[Function]], op: str, isa: Isa) -> OpCode:
    """The functions that an op reaches and their innermost loops, the hottest guess first."""
    reached = _find_reached(functions, op, isa)
    loops = [
        _describe_loop(function, flow.graph, loop, outer, isa)
        for function, flow, outer in reached.values()
        for loop in flow.loops
    ]
    loops.sort(key=lambda loop: (-loop.depth, -loop.vector_bits, -loop.instructions))
    bodies = [function for function, _, _ in reached.values()]
    names = tuple(dict.fromkeys(function.name for function in bodies))
    return OpCode(op, names, sum(len(f.body) for f in bodies), tuple(loops))


@dataclass(frozen=True, slots=True)
class Flow:
    """A function's flow of control."""

    graph: Graph
    loops: Sequence[NaturalLoop]


def _find_reached(
    functions: Mapping[str, Sequence[Function]], op: str, isa: Isa
) -> dict[str, tuple[Function, Flow, int]]:
    """Symbol -> function, its flow, and the loops around the deepest call of it."""
    by_symbol = {f.symbol: f for versions in functions.values() for f in versions}
    roots = functions.get(f"kernels::{op}") or functions.get(f"contract::{op}") or ()
    flows: dict[str, Flow] = {}
    found: dict[str, tuple[Function, Flow, int]] = {}
    left = [(function, 0, 0) for function in roots]
    while left:
        function, outer, far = left.pop()
        known = found.get(function.symbol)
        if far > CALL_DEPTH or (known is not None and known[2] >= outer):
            continue
        if function.symbol not in flows:
            flows[function.symbol] = _trace_flow(function, isa)
        flow = flows[function.symbol]
        found[function.symbol] = (function, flow, outer)
        for symbol, depth in _list_calls(flow, isa):
            if symbol in by_symbol:
                left.append((by_symbol[symbol], outer + depth, far + 1))
    return found


def _trace_flow(function: Function, isa: Isa) -> Flow:
    graph = build_graph(function, isa)
    return Flow(graph, find_innermost_loops(graph))


def _list_calls(flow: Flow, isa: Isa) -> Iterator[tuple[str, int]]:
    """Functions that it names, each with the loops around that place."""
    depth = {b: loop.depth for loop in flow.loops for b in loop.blocks}
    for i, block in enumerate(flow.graph.blocks):
        for instruction in block:
            for symbol in isa.find_symbols(instruction):
                yield symbol, depth.get(i, 0)


def _describe_loop(
    function: Function, graph: Graph, loop: NaturalLoop, outer: int, isa: Isa
) -> LoopFacts:
    body = [step for block in loop.blocks for step in graph.blocks[block]]
    lines = [step.line for step in body if step.line]
    return LoopFacts(
        function=function.name,
        body=_name_labels(body),
        lines=(min(lines), max(lines)) if lines else None,
        depth=loop.depth + outer,
        vector_bits=max(map(isa.find_vector_bits, body)),
        step_bytes=_find_step(body, isa),
        loads=sum(map(isa.is_load, body)),
        stores=sum(map(isa.is_store, body)),
        spills=sum(map(isa.is_on_stack, body)),
        callees=_list_callees(body, isa),
        checks=_count_checks(graph, loop, isa),
        gathers=sum(isa.gather.fullmatch(step.mnemonic) is not None for step in body),
    )


def _list_callees(body: Sequence[Instruction], isa: Isa) -> tuple[str, ...]:
    called = [isa.find_symbols(step) or [""] for step in body if isa.is_call(step)]
    return tuple(dict.fromkeys(demangle_symbol(names[0]) or "?" for names in called))


def _name_labels(body: Sequence[Instruction]) -> tuple[str, ...]:
    """The text, with short names for labels, so that two versions can be compared."""
    names: dict[str, str] = {}
    for step in body:
        for label in step.labels:
            names.setdefault(label, f"L{len(names)}")
    texts = []
    for step in body:
        text = str(step)
        for label, name in names.items():
            if text.endswith(label):
                text = f"{text[: -len(label)]}{name}"
        head = f"{names[step.labels[0]]}: " if step.labels else ""
        texts.append(head + text)
    return tuple(texts)


def _count_checks(graph: Graph, loop: NaturalLoop, isa: Isa) -> int:
    inside = set(loop.blocks)
    exits = [b for block in loop.blocks for b in graph.after[block] if b not in inside]
    return sum(_leads_to_panic(graph, block, isa, PANIC_BLOCKS) for block in exits)


def _leads_to_panic(graph: Graph, block: int, isa: Isa, far: int) -> bool:
    """Whether a block ends the program, itself or by the only block behind it."""
    for step in graph.blocks[block]:
        if isa.is_call(step):
            return any(word in step.operands for word in PANIC)
        if step.mnemonic in ("ud2", "brk", "udf"):
            return True
    after = graph.after[block]
    return far > 1 and len(after) == 1 and _leads_to_panic(graph, after[0], isa, far - 1)


def _find_step(body: Sequence[Instruction], isa: Isa) -> int | None:
    """The largest constant by which an address that the loop reads or writes moves on."""
    moves: dict[str, int] = {}
    for step in body:
        found = isa.step.fullmatch(str(step))
        if found is not None:
            named = {k: v for k, v in found.groupdict().items() if v}
            register = next(v for k, v in named.items() if k.startswith("reg"))
            by = next((int(v) for k, v in named.items() if k.startswith("by")), 1)
            moves[register] = moves.get(register, 0) + by
    steps = [
        by * _find_scale(step.operands, register)
        for step in body if isa.is_load(step) or isa.is_store(step)
        for register, by in moves.items()
    ]  # fmt: skip
    return max(steps, default=0) or None


def _find_scale(operands: str, register: str) -> int:
    """By what an address grows with a register; 0 if the register is not in it."""
    inside = operands[operands.find("[") + 1 : operands.find("]")]
    for term in inside.replace("-", "+").split("+"):
        factor, _, name = term.strip().rpartition("*")
        if name == register:
            return int(factor) if factor.isdecimal() else 1
    return 0
