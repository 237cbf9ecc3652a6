"""The same function compiled for wider CPU features, behind `has(...)`.

    pub fn scan(x: &[u8]) -> u64 { BODY }   ->   scan        asks the processor, calls one of:
                                                 scan_avx512  #[target_feature], calls scan_body
                                                 scan_body    #[inline(always)] BODY

Both tiers come from one body, so they cannot differ. The build's baseline has AVX2 and FMA: wider
means AVX-512.
"""

from __future__ import annotations

from collections.abc import Iterator

from lance_autoresearch.records import RewriteKind
from lance_autoresearch.rewrites.edits import Edit, Facts, Rewrite, make_step
from lance_autoresearch.rewrites.kernel_tree import LOOPS, Function, KernelTree, read, walk

TIERS = {
    "avx512": ("avx512f", "avx512bw", "avx512dq", "avx512vl"),
    "vbmi": ("avx512f", "avx512bw", "avx512vl", "avx512vbmi"),
}
"""Suffix of a name -> features that are enabled together."""


def find_wide(kernel: KernelTree, _facts: Facts) -> Iterator[Rewrite]:
    """Free functions with a loop or a call, that are not yet compiled for a tier of their own."""
    names = {function.name for function in kernel.functions}
    for function in kernel.functions:
        for tier, features in TIERS.items():
            if _can_widen(function) and f"{function.name}_{tier}" not in names:
                step = make_step(RewriteKind.WIDE, function.path, tier)
                yield Rewrite(step, _split_function(function, tier, features), needs=features)


def _can_widen(function: Function) -> bool:
    """Whether it is a plain function of plain parameters that does some work."""
    above = function.node.parent
    free = above is not None and above.type in ("source_file", "declaration_list")
    method = above is not None and above.parent is not None and above.parent.type in (
        "impl_item", "trait_item")
    modifiers = any(child.type == "function_modifiers" for child in function.node.children)
    works = any(node.type in (*LOOPS, "call_expression") for node in walk(function.body))
    special = any(map(function.has_attribute, ("target_feature", "cold", "inline(always)")))
    known = function.params is not None and "impl " not in _read_signature(function)[0]
    return free and not method and not modifiers and works and not special and known


def _read_signature(function: Function) -> tuple[str, str, str]:
    """(parameters, return type and where clause, type parameters) as they are written."""
    node = function.node
    generics = read(node.child_by_field_name("type_parameters"))
    listed = read(node.child_by_field_name("parameters"))
    returned = node.child_by_field_name("return_type")
    tail = f" -> {read(returned)}" if returned is not None else ""
    where = " ".join(read(c) for c in node.children if c.type == "where_clause")
    return listed, f"{tail} {where}", generics


def _split_function(
    function: Function, tier: str, features: tuple[str, ...]
) -> tuple[Edit, ...]:
    listed, tail, generics = _read_signature(function)
    name = function.name
    given = ", ".join(param.name for param in function.params or ())
    asked = " && ".join(
        f"lar_shim::has(lar_shim::Feature::{feature.capitalize()})" for feature in features
    )
    enabled = ",".join(features)
    body = (
        f'{{\n#[cfg(target_arch = "x86_64")]\nif {asked} {{\n'
        f"// SAFETY: the processor has these features.\n"
        f"return unsafe {{ {name}_{tier}({given}) }};\n}}\n{name}_body({given})\n}}\n\n"
        f"// rewrite {RewriteKind.WIDE}: the same body, compiled for wider features.\n"
        f'#[cfg(target_arch = "x86_64")]\n#[target_feature(enable = "{enabled}")]\n'
        f"fn {name}_{tier}{generics}{listed}{tail} {{ {name}_body({given}) }}\n\n"
        f"#[inline(always)]\nfn {name}_body{generics}{listed}{tail} {read(function.body)}\n"
    )
    return (Edit(function.body.start_byte, function.body.end_byte, body),)
