"""`lar rewrite`: the candidates of mechanical rewrites, printed; nothing is judged."""

from __future__ import annotations

import json as json_module
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from lance_autoresearch.host import checkout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lance_autoresearch.rewrites import Rewrite


def print_rewrite(
    kernel: str, *, kind: str | None = None, number: int = 1, target: str | None = None,
    list_: Annotated[bool, Parameter(name="--list")] = False, check: bool = False,
    json: bool = False,
) -> int:  # fmt: skip
    """Print a kernel with one mechanical rewrite, as the agent `rewrite` would propose it.

    A candidate is a guess: `lar try` judges it. Without --kind the candidates are listed.

    Exit code: 0 printed, 2 with --check if rustc refuses the candidate.

    Args:
        kernel: a file, the number of a trial in the ledger, or `upstream` for Lance's own kernel
            of --target.
        kind: wide, bounds, unroll, nest, output, inline, select, prefetch, iterate or knobs.
        number: which candidate of the kind, as --list numbers them.
        target: name of the target; by default it follows from the trial, or from the file's place
            (targets/NAME/...).
        list_: list the candidates and print none.
        check: ask rustc whether it compiles.
        json: one object a candidate when listing, else one with the text.
    """
    from lance_autoresearch.agents.rewrite import read_facts
    from lance_autoresearch.build.source_check import does_compile, format_source
    from lance_autoresearch.cli.diff import find_target
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.rewrites import FINDERS, apply_edits, list_rewrites
    from lance_autoresearch.targets import catalogue

    root = checkout.find_root()
    known = {str(name): name for name in FINDERS}
    if kind is not None and kind not in known:
        raise UsageError(f"no kind of rewrite named '{kind}'", allowed=sorted(known))
    name = target or find_target(root, kernel, verb="rewrite")
    text = _read_text(root, name, kernel)
    facts = read_facts(catalogue.load_target(root, name))
    found = list_rewrites(text, facts, None if kind is None else [known[kind]])
    if list_ or kind is None:
        for line in _list_objects(found) if json else _list_lines(found):
            print(line)
        return 0
    if not 1 <= number <= len(found):
        raise UsageError(f"there are {len(found)} candidates of kind {kind}", where=kernel,
                         next=f"./lar rewrite {kernel} --target {name} --list")
    chosen = found[number - 1]
    made = format_source(root, apply_edits(text, [chosen]), text)
    compiles = does_compile(root, name, made) if check else None
    if json:
        body = {"v": 1, **asdict(chosen.step), "needs": chosen.needs, "compiles": compiles}
        print(json_module.dumps({**body, "text": made.decode()}))
    else:
        print(made.decode(), end="")
        if compiles is not None:
            said = "compiles" if compiles else "does not compile"
            print(f"{chosen.step.label}: {said}", file=sys.stderr)
    return 2 if compiles is False else 0


def _list_objects(found: Sequence[Rewrite]) -> list[str]:
    return [json_module.dumps({"v": 1, **asdict(one.step), "needs": one.needs}) for one in found]


def _list_lines(found: Sequence[Rewrite]) -> list[str]:
    """`unroll 3   hamming: loop 1 by 8`, numbered within each kind."""
    counts: dict[str, int] = {}
    lines = []
    for rewrite in found:
        step = rewrite.step
        counts[step.kind] = counts.get(step.kind, 0) + 1
        lines.append(f"{step.kind:<9}{counts[step.kind]:>4}  {step.place}: {step.change}")
    return lines or ["no mechanical rewrite applies to this text"]


def _read_text(root: Path, target: str, kernel: str) -> bytes:
    from lance_autoresearch.build.builder import compose_first_kernel
    from lance_autoresearch.host.kernel_file import read_kernel
    from lance_autoresearch.ledger import Ledger

    if kernel == "upstream":
        return compose_first_kernel(root, target)
    if kernel.isdecimal():
        with Ledger.open(root) as ledger:
            return ledger.get_blob(ledger.get_trial(int(kernel)).record.kernel)
    return read_kernel(Path(kernel))
