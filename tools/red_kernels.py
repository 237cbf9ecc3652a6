"""Kernels that are wrong or slow on a region, written from an honest one.

    text = write_kernel(honest, target, surface, region, effect)
    list_wrong(surface)      effects that make the outputs wrong
    list_slow(surface)       effects that do the work several times, and use the last result
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from red_calls import Surface
from red_kinds import Harm, Nature
from red_regions import HELPERS, STATE_HELPERS, Region

from lance_autoresearch.targets.cheats import expand_template
from lance_autoresearch.targets.spec import Target

FACTORS = (3, 10, 30)
"""How many times a slow kernel does its work on its region."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Statements around the honest code, run on the region alone."""

    harm: Harm
    name: str
    before: str = ""
    """Statements that bind what `after` needs; they run everywhere."""
    after: str = ""
    """Statements on the region; `given` is a mutable binding of the honest code's result."""


def list_wrong(surface: Surface) -> Iterator[Effect]:
    """Wrong outputs that a comparison can see: stale, zero, one bit, a wrong result."""
    for name, element in surface.outputs.items():
        if element.startswith("MaybeUninit"):
            yield Effect(Harm.WRONG, f"{name}: one bit", after=_flip_written(name))
            continue
        at = {"last": f"{name}.len().wrapping_sub(1)", "first": "0", "middle": f"{name}.len() / 2"}
        for place, index in at.items():
            yield Effect(Harm.WRONG, f"{name}: {place}, one bit", after=_flip(name, element, index))
        index = at["last"]
        yield Effect(
            Harm.WRONG, f"{name}: last is stale",
            before=f"let stale = {name}.get({index}).copied();",
            after=f"if let (Some(x), Some(old)) = ({name}.get_mut({index}), stale) {{ *x = old; }}",
        )  # fmt: skip
        half = f"let half = {name}.len() / 2;"
        yield Effect(
            Harm.WRONG, f"{name}: half is zero",
            after=f"{half} {name}[half..].fill(Default::default());",
        )  # fmt: skip
    yield from _list_results(surface)
    for name, statements in surface.wrong.items():
        yield Effect(Harm.WRONG, name, after=statements)


def list_slow(surface: Surface) -> Iterator[Effect]:
    """The whole work several times."""
    for factor in FACTORS:
        yield Effect(Harm.SLOW, f"{factor} times", after=_repeat(surface, factor - 1))


def write_kernel(
    honest: bytes, target: Target, surface: Surface, region: Region, effect: Effect
) -> bytes:
    """The honest kernel with an effect on a region of one op."""
    body = f"""
    {effect.before}
    let inside = {region.rust};
    #[allow(unused_mut)]
    let mut given = honest!();
    if inside {{
        {effect.after}
    }}
    given
"""
    helpers = HELPERS + (STATE_HELPERS if Nature.STATE in region.natures else "")
    template = f"{helpers}\nsurface! {{{body}}}\n"
    return expand_template(template, honest.decode(), target, surface.op).encode()


def _flip(name: str, element: str, index: str) -> str:
    """Change the lowest bit of one element; of a NaN, whose payload does not count, the value."""
    if element in ("f32", "f64"):
        change = f"if x.is_nan() {{ 1.0 }} else {{ {element}::from_bits(x.to_bits() ^ 1) }}"
    else:
        change = "*x ^ 1"
    return f"if let Some(x) = {name}.get_mut({index}) {{ *x = {change}; }}"


def _flip_written(name: str) -> str:
    """Change a bit of the last byte that the honest code has written, if it returned a length."""
    return f"""if let Some(at) = given.iter().next().and_then(|n| n.checked_sub(1)) {{
            // SAFETY: the honest code has written it.
            unsafe {{ *{name}[at].as_mut_ptr() ^= 1 }};
        }}"""


def _list_results(surface: Surface) -> Iterator[Effect]:
    """A length that is returned, one too small or 0."""
    if surface.result == "usize":
        yield Effect(Harm.WRONG, "length one less", after="given = given.saturating_sub(1);")
    elif re.match(r"Result<usize,", surface.result):
        less = "given = given.map(|n| n.saturating_sub(1));"
        yield Effect(Harm.WRONG, "length one less", after=less)
        yield Effect(Harm.WRONG, "length 0", after="given = given.map(|_| 0);")


def _repeat(surface: Surface, times: int) -> str:
    """The honest code on hidden copies of its arguments; what it changes is cloned first."""
    hidden = [f"let {name} = std::hint::black_box({name});" for name in surface.slices]
    hidden += [f"let {name} = &mut {name}.clone();" for name in surface.states]
    return f"""for _ in 0..{times} {{
            {" ".join(hidden)}
            let _ = std::hint::black_box(honest!());
        }}"""
