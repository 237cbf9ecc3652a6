"""`#[inline]`, `#[inline(always)]`, `#[inline(never)]` and `#[cold]` on helpers.

    fn order(dist: f32) -> u32 {          // rewrite inline: inlined at every call.
                                     ->   #[inline(always)]
                                          fn order(dist: f32) -> u32 {
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lance_autoresearch.records import RewriteKind
from lance_autoresearch.rewrites.edits import Edit, Facts, Rewrite, make_step
from lance_autoresearch.rewrites.kernel_tree import Function, KernelTree, read

WORDS = {
    "#[inline(always)]": "inlined at every call.",
    "#[inline]": "may be inlined at every call.",
    "#[inline(never)]": "compiled once, out of its callers' way.",
}
COLD = "a failure's path, kept away from the usual one."
_ERROR = re.compile(r"!|(\w+::)*(\w*Error|\w*Err)(<.*>)?")
"""Return types of a function that is called when something failed."""


def find_inlining(kernel: KernelTree, _facts: Facts) -> Iterator[Rewrite]:
    """Attributes for functions that the kernel itself calls."""
    for function in kernel.functions:
        if not kernel.list_calls(function.name):
            continue  # the surface: called from the contract alone
        for attribute, what in _list_choices(function):
            yield _set_attribute(kernel, function, attribute, what)


def _list_choices(function: Function) -> Iterator[tuple[str, str]]:
    returned = read(function.node.child_by_field_name("return_type"))
    if _ERROR.fullmatch(returned):
        if not function.has_attribute("cold"):
            yield "#[cold]", COLD
        return
    if function.has_attribute("cold"):
        return
    for attribute, what in WORDS.items():
        forced = attribute == "#[inline(always)]" and function.has_attribute("target_feature")
        if not forced and all(read(node) != attribute for node in function.attributes):
            yield attribute, what


def _set_attribute(
    kernel: KernelTree, function: Function, attribute: str, what: str
) -> Rewrite:
    """An attribute on a function, in place of another one of `#[inline...]`."""
    step = make_step(RewriteKind.INLINE, function.path, attribute)
    old = [node for node in function.attributes if read(node).startswith("#[inline")]
    if old:
        note = kernel.note_before(old[0], RewriteKind.INLINE, what)
        return Rewrite(step, (note, Edit(old[0].start_byte, old[0].end_byte, attribute)))
    start = function.node.start_byte
    head = f"// rewrite {RewriteKind.INLINE}: {what}\n{attribute}\n"
    return Rewrite(step, (Edit(start, start, head),))
