"""The files of a new target, as text. Pure: a card goes in, path -> contents comes out.

The target's author reads and changes every template; the comments in them say what to change
first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lance_autoresearch.targets.signature import OUTPUTS, SLICES, WIDTH, Param, Signature

FIXTURES = '''"""Inputs for `{op}`: change them to what Lance sees at the call site."""

import numpy as np

from lance_autoresearch.fixtures.drawn import mix, rearrange
from lance_autoresearch.targets.spec import DRAWN


def values(dtype, n, dist, rng):
    """n values of a NumPy dtype: random, skewed (small values, wide range), extremes, mixed.

    A name that begins with DRAWN draws scale and centre as well, so that no kernel knows them.
    """
    kind, drawn = dist.removeprefix(DRAWN), dist.startswith(DRAWN)
    if kind == "mixed":
        kinds = [lambda rng, n, k=k: values(dtype, n, DRAWN + k, rng) for k in ("random", "skewed")]
        return rearrange(rng, mix(rng, n, kinds))
    if np.issubdtype(dtype, np.floating):
        if kind == "extremes":
            odd = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, np.finfo(dtype).tiny]
            return rng.choice(np.array(odd, dtype), n)
        spread = rng.uniform(1, 40) if drawn else 20
        wide = np.exp2(rng.uniform(-spread, spread, n)) if kind == "skewed" else 1.0
        scale, shift = (2.0 ** rng.uniform(-20, 20), rng.uniform(-4, 4)) if drawn else (1.0, 0.0)
        return ((rng.standard_normal(n) + shift) * wide * scale).astype(dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    if kind == "extremes":
        return rng.choice(np.array([low, 0, 1, high], dtype), n)
    if kind == "skewed":
        share = rng.uniform(0.02, 0.9) if drawn else 0.2
        return np.minimum(rng.geometric(share, n), high).astype(dtype)
    if drawn:  # any part of the range
        low, high = np.sort(rng.integers(low, high, 2, dtype, endpoint=True)).tolist()
    return rng.integers(low, high, n, dtype, endpoint=True)
'''
"""fixtures.py of a new target: values by NumPy type and distribution."""


@dataclass(frozen=True, slots=True)
class TargetDraft:
    """The facts about the new target."""

    name: str
    crate: str
    file: str
    """`src/...` inside the crate."""
    call_site: str
    cost: float
    signature: Signature

    @property
    def op(self) -> str:
        """Upstream's function; also the op's name."""
        return self.signature.name

    @property
    def surface(self) -> str:
        """What kernels.rs must define."""
        return f"{self.op}_op"

    @property
    def appends(self) -> bool:
        """True if the number of values written is known only afterwards."""
        return self.signature.returns_vec or any(p.kind == "vec" for p in self.signature.params)

    @property
    def source(self) -> str:
        """`lance-linalg/src/distance/hamming.rs`."""
        return f"{self.crate}/{self.file}"


def render_target(card: TargetDraft, prelude: Sequence[str]) -> dict[str, str]:
    """Path below targets/<name>/ -> contents; `prelude` lists extracts of other files."""
    return {
        "target.py": render_target_py(card),
        "fixtures.py": FIXTURES.replace("{op}", card.op),
        "contract.rs": render_contract_rs(card),
        "adapter.rs": render_adapter_rs(card),
        "prelude.rs": render_prelude_rs(card, prelude),
        "cheats/constant.rs": render_cheat_rs(card),
        "program.md": render_program_md(card),
        "integration.md": render_integration_md(card),
    }


def render_target_py(card: TargetDraft) -> str:
    """Inputs: slices of equal length n, a `usize` is n, everything else random."""
    outs = ", ".join(f'Out("{t}", rule="{_choose_rule(t)}")' for _, t in card.signature.outputs)
    args = ", ".join(_render_argument(p) for p in card.signature.inputs)
    caps = ", ".join(_render_capacity(card, n, t) for n, t in card.signature.outputs)
    return f'''"""{card.name}: `{card.op}` of {card.source}, as Lance calls it.

Slices of one call have the same length n, a `usize` is n. Where Lance calls it otherwise,
`inputs` is the place to say so; sizes and distributions should be those of the call site.
"""

import numpy as np

from lance_autoresearch.targets.space import Range, Space
from lance_autoresearch.targets.spec import DRAWN, Call, Combo, Op, Out, Target

from .fixtures import values

CONFIRM = {{256: 270, 1024: 1100, 4096: 4400}}
"""Size when timed -> size at confirmation (within 10 %, not a multiple of 64)."""


def inputs(op, shape, dist, rng, calls, make):
    """Calls of `{card.op}`; a name that begins with DRAWN draws the parameters of its values."""
    n = shape["n"]
    for _ in range(calls):
        yield Call(
            args=({args},),
            caps=({caps},),
        )


TARGET = Target(
    name="{card.name}",
    summary="{card.op} of {card.crate}",
    call_site="{card.call_site}",
    cost="{card.cost * 100:g} % (given to `lar new`; say here how it was measured)",
    ops=(Op("{card.op}", outputs=({outs},)),),
    timed=tuple(
        Combo("{card.op}", {{"n": n}}, dist, calls=max(16, 65536 // n), confirm={{"n": second}})
        for n, second in CONFIRM.items()
        for dist in ("random", "skewed")
    ),
    checks=tuple(
        Combo("{card.op}", {{"n": n}}, dist)
        for n in (0, 1, 2, 7, 8, 31, 63, 64, 65, 257, 1000)
        for dist in ("random", "skewed", "extremes")
    ),
    inputs=inputs,
{_render_spaces(card)})
'''


def _render_spaces(card: TargetDraft) -> str:
    """All calls that secret cases are drawn from."""
    size = f'{_count_fixed_bytes(card)} + {_count_row_bytes(card)} * shape["n"]'
    return f'''    spaces=(
        Space(
            "{card.op}",
            {{"n": Range(0, 1 << 18)}},
            (DRAWN + "random", DRAWN + "skewed", DRAWN + "extremes", DRAWN + "mixed"),
            max_bytes=8 << 20,
            bound="(say here what Lance's format allows; 2^18 is a bound of memory)",
            call_bytes=lambda shape: {size},
        ),
    ),
'''


def _count_row_bytes(card: TargetDraft) -> int:
    """Bytes that a call grows by with n: one element of each slice, in and out."""
    inputs = sum(WIDTH[p.wire] for p in card.signature.inputs if p.kind != "scalar")
    return inputs + sum(
        WIDTH[wire] for name, wire in card.signature.outputs if _has_rows(card, name)
    )


def _count_fixed_bytes(card: TargetDraft) -> int:
    """Bytes of a call of no rows: its scalars, in and out."""
    scalars = sum(1 for p in card.signature.inputs if p.kind == "scalar")
    return 8 * (scalars + len(card.signature.outputs))


def _has_rows(card: TargetDraft, name: str) -> bool:
    """Whether an output has a value for each row."""
    return name != "returned" or card.signature.returns_vec


def _choose_rule(wire: str) -> str:
    return {"f32": "bits32", "f64": "bits64"}.get(wire, "bytes")


def _name_numpy_type(wire: str) -> str:
    kind = {"u": "uint", "i": "int", "f": "float"}[wire[0]]
    return f"np.{kind}{wire[1:]}"


def _render_argument(param: Param) -> str:
    if param.kind != "scalar":
        return f"values({_name_numpy_type(param.wire)}, n, dist, rng)"
    if param.rust in ("usize", "isize"):
        return f"np.array([n], {_name_numpy_type(param.wire)})"
    if param.rust == "bool":
        return "rng.integers(0, 2, 1, np.uint8)"
    return f"values({_name_numpy_type(param.wire)}, 1, dist, rng)"


def _render_capacity(card: TargetDraft, name: str, wire: str) -> str:
    return f"{WIDTH[wire]} * n" if _has_rows(card, name) else str(WIDTH[wire])


def render_contract_rs(card: TargetDraft) -> str:
    """How one call's buffers become the arguments of the surface."""
    lines, part, arg, names = [], 0, 0, []
    for param in card.signature.params:
        names.append(param.name)
        if param.kind in ("slice", "scalar"):
            lines.append(f"let {param.name} = {_render_read(param, arg)};")
        else:
            lines.append(f"let {param.name} = call.{OUTPUTS[param.rust]}({part});")
            if param.kind == "inout":
                read = f"call.{SLICES[param.rust]}({arg})"
                lines.append(f"{param.name}.copy_from_slice({read}); // read and written")
            part += 1
        arg += param.is_input
    lines += _render_finish(card, part, names)
    body = "\n".join(f"    {line}" for line in lines)
    return f"""use lar_shim::Call;

/// One call as {card.call_site} makes it.
pub fn {card.op}(call: &mut Call) {{
{body}
}}

lar_shim::ops!({card.op});
"""


def _render_read(param: Param, at: int) -> str:
    if param.kind == "slice":
        return f"call.{SLICES[param.rust]}({at})"
    if param.rust in ("usize", "isize"):
        return f"call.{param.wire}({at}) as {param.rust}"
    if param.rust == "bool":
        return f"call.bytes({at})[0] != 0"
    return f"call.{SLICES[param.rust]}({at})[0]"


def _render_finish(card: TargetDraft, part: int, names: list[str]) -> list[str]:
    """The call itself and the handling of its result."""
    signature = card.signature
    if card.appends:
        at = next((i for i, p in enumerate(p for p in signature.params if not _is_pure_input(p))
                   if p.kind == "vec"), part)  # fmt: skip
        element = next(t for n, t in signature.outputs if signature.returns_vec or t)
        lines = []
        if signature.returns_vec:
            element = str(signature.returns)
            lines.append(f"let out = call.{OUTPUTS[element]}({part});")
            names = [*names, "out"]
        call = f"kernels::{card.surface}({', '.join(names)})"
        return [
            *lines,
            f"let written = {call};",
            f"call.set_len({at}, written * {WIDTH[element]});",
        ]
    call = f"kernels::{card.surface}({', '.join(names)})"
    if signature.returns is None:
        return [f"{call};"]
    wire = signature.outputs[-1][1]
    value = f"{call} as {wire}" if signature.returns in ("usize", "isize", "bool") else call
    return [f"call.{OUTPUTS[wire]}({part})[0] = {value};"]


def _is_pure_input(param: Param) -> bool:
    return param.kind in ("slice", "scalar")


def _render_params(card: TargetDraft, *, unused: bool = False) -> str:
    """The surface's parameters; a Vec becomes a slice the caller owns."""
    mark = "_" if unused else ""
    out = []
    for p in card.signature.params:
        ty = {"slice": f"&[{p.rust}]", "scalar": p.rust}.get(p.kind, f"&mut [{p.rust}]")
        out.append(f"{mark}{p.name}: {ty}")
    if card.signature.returns_vec:
        out.append(f"{mark}out: &mut [{card.signature.returns}]")
    return ", ".join(out)


def _render_returns(card: TargetDraft) -> str:
    if card.appends:
        return " -> usize"
    return f" -> {card.signature.returns}" if card.signature.returns else ""


def render_adapter_rs(card: TargetDraft) -> str:
    """Upstream's own items behind the surface."""
    passed = ", ".join("&mut found" if p.kind == "vec" else p.name for p in card.signature.params)
    lines = [f"{card.op}({passed})"]
    if card.appends:
        out = next((p.name for p in card.signature.params if p.kind == "vec"), "out")
        begin = f"let found = {card.op}({passed});"
        lines = [begin, f"{out}[..found.len()].copy_from_slice(&found);", "found.len()"]
        if not card.signature.returns_vec:
            lines[:1] = [
                f"let mut found = Vec::with_capacity({out}.len());",
                f"{card.op}({passed});",
            ]
    body = "\n".join(f"    {line}" for line in lines)
    more = "\n/// Returns the number of values written." if card.appends else ""
    return f"""/// The surface. Never inlined, so that the audit sees all of it.{more}
#[inline(never)]
pub fn {card.surface}({_render_params(card)}){_render_returns(card)} {{
{body}
}}
"""


def render_prelude_rs(card: TargetDraft, extracts: Sequence[str]) -> str:
    """The trusted crate: what the op calls elsewhere in Lance."""
    lines = [f'extract!("{path}");' for path in extracts]
    return "\n".join([f"//! What `{card.op}` calls elsewhere in Lance, and stand-ins.", "", *lines]
                     ).rstrip("\n") + "\n"  # fmt: skip


def render_cheat_rs(card: TargetDraft) -> str:
    """A kernel that answers without reading its inputs; the check must find it incorrect."""
    kind = card.signature.returns
    value = "0" if card.appends else "false" if kind == "bool" else "0.0" if kind in (
        "f32", "f64") else "0" if kind else ""  # fmt: skip
    body = f"\n    {value}\n" if value else ""
    return f"""//! hack 31: answers without looking at its input; stopped by E
#[inline(never)]
pub fn {card.surface}({_render_params(card, unused=True)}){_render_returns(card)} {{{body}}}
"""


def render_program_md(card: TargetDraft) -> str:
    """Knowledge for an agent; a person edits it between runs."""
    return f"""# {card.name}: what to try

Make `{card.surface}` in `kernel/kernels.rs` faster. It starts as Lance's own `{card.op}`
({card.source}). Keep its signature; give the same bits for every input.

## Known

- Where the time goes: (profile the first kernel, write it down here)
- What the call site fixes: sizes, alignment, value ranges: (see integration.md)

## Ideas, best first

1. Wider vectors, more than one accumulator, no bounds checks in the inner loop.
2. Less memory traffic: fewer passes over the data.

## Do not

- Change what is computed for tails, empty input, NaN or extremes: those are checked.
"""


def render_integration_md(card: TargetDraft) -> str:
    """Where Lance calls the op, the cost of that call, and the effect of a champion in Lance."""
    return f"""# {card.name}

| | |
| --- | --- |
| call site | `{card.call_site}` |
| kernel | `{card.op}` in `{card.source}` |
| share of real work | {card.cost * 100:g} % (given when the target was made) |

## How the share was measured

(Which query or scan, on what data, with which profiler. A champion is offered upstream only
when share x gain makes a visible difference.)

## Integration

(Not tried yet: which champion, spliced into which version, which of Lance's tests and
benchmarks, what it gave end to end.)
"""
