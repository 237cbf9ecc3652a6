"""Refuses, within milliseconds, what no honest kernel needs: by the kernel's words and symbols.

    admit(text)       # words of kernels.rs: asm!, extern, static mut, std::fs, #[no_mangle], ...
    check_audit(report)  # symbols and sections of the object that was built from it

Every refusal names the word or symbol, its line, and how an honest kernel does the same. This
is a courtesy that saves a trial, not the fence: bytes can hide from a scan, and what a kernel
can *do* is bounded by the sandbox it runs in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.judge.extensions import check_features_asked
from lance_autoresearch.judge.rust_tokens import Token, split_tokens
from lance_autoresearch.rules.policy import MAX_KERNEL_BYTES
from lance_autoresearch.text.plain_text import strip_text

_INTRINSICS = "intrinsics of core::arch in a #[target_feature] function"
_HAS = "lar_shim::has(lar_shim::Feature::Avx2)"
_CONST = "`const` tables and locals; state does not outlive a call"

WORDS: Mapping[str, str] = {
    **dict.fromkeys(("asm", "global_asm", "naked_asm", "naked", "llvm_asm"), _INTRINSICS),
    "extern": "plain `pub fn`: the contract calls the kernel by its Rust name",
    **dict.fromkeys(
        ("no_mangle", "export_name", "link_section", "link_name"), "plain `pub fn`, no attribute"
    ),
    "global_allocator": "Vec and Box as they are: the heap is the worker's arena",
    **dict.fromkeys(("thread_local", "LocalKey"), _CONST),
    **dict.fromkeys(
        (
            "is_x86_feature_detected", "is_aarch64_feature_detected", "is_arm_feature_detected",
            "__cpuid", "__cpuid_count", "__get_cpuid_max", "_xgetbv",
        ),
        _HAS,
    ),
    **dict.fromkeys(
        ("_rdtsc", "__rdtscp", "_rdrand16_step", "_rdrand32_step", "_rdrand64_step",
         "_rdseed16_step", "_rdseed32_step", "_rdseed64_step"),
        "outputs that depend on the inputs alone; only the conductor has a clock",
    ),
    **dict.fromkeys(
        ("_mm_clflush", "_mm_clflushopt"), "loads, stores, prefetches and streaming stores"
    ),
    **dict.fromkeys(
        ("set_hook", "take_hook", "catch_unwind"), "panics where Lance panics: they end the trial"
    ),
}  # fmt: skip
"""Words that admission refuses anywhere in code, and what an honest kernel uses instead."""

MACROS: Mapping[str, str] = {
    **dict.fromkeys(("include", "include_str", "include_bytes"), "`const` tables in the file"),
    **dict.fromkeys(("env", "option_env"), "constants in the file"),
    **dict.fromkeys(
        ("print", "println", "eprint", "eprintln", "dbg"),
        "the outputs it is handed; debug_assert! for checks",
    ),
}
"""Macros refused where they are called or imported."""

MODULES: Mapping[str, str] = {
    **dict.fromkeys(("fs", "net", "process", "os", "path"), "inputs and outputs it is handed"),
    "env": "constants in the file",
    "thread": "one core: the other one measures",
    "time": "no clock; only the conductor has one",
    "backtrace": "panics where Lance panics",
}
"""Modules of std that a kernel may not name."""

ATTRIBUTES = (
    "allow", "cfg", "cold", "deny", "deprecated", "derive", "doc", "expect", "inline", "must_use",
    "non_exhaustive", "repr", "rustfmt", "clippy", "target_feature", "test", "track_caller", "warn",
)  # fmt: skip
INNER = ("allow", "deny", "doc", "expect", "warn")
"""Inner attributes: `#![allow(...)]` and similar ones, none that changes the crate."""

SHIM = ("has", "Feature")
_CELLS = re.compile(
    r"(Sync)?(Unsafe|Ref|Once|Lazy)?Cell|Atomic\w+|Mutex|RwLock|OnceLock|LazyLock|Once|Condvar"
)
_PLAIN = re.compile(r"[ui](8|16|32|64|128|size)|f32|f64|bool|char|str")
_BEFORE_PATHS = frozenset(
    ("as", "break", "dyn", "else", "for", "if", "impl", "in", "let", "match", "move", "mut",
     "ref", "return", "unsafe", "use", "where", "while", "yield")
)  # fmt: skip
_HIDDEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_ATTRIBUTE_WORDS = frozenset(
    ("used", "link", "linkage", "path", "proc_macro", "macro_export", "panic_handler", "ctor")
)


def admit(text: bytes) -> None:
    """Check a kernel's bytes before anything is built from them.

    Raises:
        RejectedKernel: with the token, its line (`kernels.rs:LINE`) and the honest way.
    """
    words = list(split_tokens(_decode_text(text)))
    if not words:
        raise _make_refusal("the kernel is empty", 1, ["the functions of the target's surface"])
    metavariable_attributes = any(
        [t.text for t in words[i : i + 3]] == ["#", "[", "$"] for i in range(len(words) - 2)
    )
    for i, token in enumerate(words):
        if token.kind == "word":
            _check_word(words, i, metavariable_attributes)
        elif token.text == "#":
            _check_attribute(words, i)
        elif token.text == "$":
            _check_metavariable(words, i)
    check_features_asked(words)


def _decode_text(text: bytes) -> str:
    if len(text) > MAX_KERNEL_BYTES:
        raise _make_refusal(
            f"the kernel has {len(text)} bytes", None, [f"at most {MAX_KERNEL_BYTES}"]
        )
    try:
        source = text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise _make_refusal("the kernel is not UTF-8", line, ["UTF-8 text"]) from None
    for pattern, what in (("\0", "a NUL character"), (_HIDDEN, "an invisible direction mark")):
        found = re.search(pattern, source)
        if found:
            line = source.count("\n", 0, found.start()) + 1
            raise _make_refusal(f"the kernel holds {what}", line, ["visible text"])
    return source


def _make_refusal(what: str, line: int | None, honest: Sequence[str]) -> RejectedKernel:
    where = "kernels.rs" if line is None else f"kernels.rs:{line}"
    # `what` quotes the kernel, and `honest` may hold the name of a module of its own.
    ways = [strip_text(way, 120) for way in honest]
    return RejectedKernel(strip_text(what, 200), where=where, allowed=ways)


def _get_text(words: Sequence[Token], i: int) -> str:
    return words[i].text if 0 <= i < len(words) else ""


def _check_word(words: Sequence[Token], i: int, metavariable_attributes: bool) -> None:
    token, after = words[i], _get_text(words, i + 1)
    word = token.text
    if word in WORDS:
        raise _make_refusal(f"`{word}` is not admitted", token.line, [WORDS[word]])
    if word in MACROS and (after == "!" or _is_in_use(words, i)):
        raise _make_refusal(f"`{word}!` is not admitted", token.line, [MACROS[word]])
    if metavariable_attributes and word in _ATTRIBUTE_WORDS:
        what = f"`{word}` is not admitted beside macros that write attributes"
        raise _make_refusal(what, token.line, ["attributes written out"])
    if word in ("std", "core", "alloc", "lar_shim"):
        _check_path(words, i)
    elif word == "mod" and _get_text(words, i + 2) == ";":
        raise _make_refusal(
            f"`mod {after};` is not admitted", token.line, [f"mod {after} {{ ... }}"]
        )
    elif word == "static":
        _check_static(words, i)
    elif word in ("stdin", "stdout", "stderr") and _get_text(words, i - 1) == "::":
        raise _make_refusal(f"`{word}` is not admitted", token.line, ["the outputs it is handed"])


def _is_in_use(words: Sequence[Token], i: int) -> bool:
    """True if the word is part of a `use` declaration."""
    while i >= 0 and words[i].text not in (";", "fn", "=", "("):
        if words[i].text == "use":
            return True
        i -= 1
    return False


def _check_path(words: Sequence[Token], i: int) -> None:
    """`std::fs`, `use std::{thread as t}`, `use std as s`, `lar_shim::init`."""
    root, line = words[i].text, words[i].line
    if _get_text(words, i - 1) == "::" and _is_path_name(_get_text(words, i - 2)):
        return  # a module of that name inside another path, like std::alloc
    if _get_text(words, i + 1) == "as":
        raise _make_refusal(f"`{root} as` is not admitted", line, [f"{root} by its own name"])
    if _get_text(words, i + 1) != "::":
        return
    for name in _list_segments(words, i + 2):
        if name.text in ("*", "self"):
            raise _make_refusal(
                f"`{root}::{name.text}` is not admitted", name.line, ["names one by one"]
            )
        if root == "lar_shim" and name.text not in SHIM:
            raise _make_refusal(f"`lar_shim::{name.text}` is not admitted", name.line, [_HAS])
        if root in ("std", "core") and name.text in MODULES:
            raise _make_refusal(
                f"`{root}::{name.text}` is not admitted", name.line, [MODULES[name.text]]
            )


def _is_path_name(word: str) -> bool:
    """True for the `a` of `a::std`, false for the `use` of `use ::std`."""
    return word.isidentifier() and word not in _BEFORE_PATHS


def _list_segments(words: Sequence[Token], i: int) -> list[Token]:
    """The names that follow `root::`, one, or all of a `{...}` group at its own level."""
    if _get_text(words, i) != "{":
        return list(words[i : i + 1])
    found, depth = [], 0
    for j in range(i, len(words)):
        text = words[j].text
        depth += {"{": 1, "}": -1}.get(text, 0)
        if depth == 0:
            break
        if depth == 1 and words[j - 1].text in ("{", ",") and text not in ("{", ","):
            found.append(words[j])
    return found


def _check_static(words: Sequence[Token], i: int) -> None:
    line = words[i].line
    if _get_text(words, i + 1) == "mut":
        raise _make_refusal("`static mut` is not admitted", line, [_CONST])
    kind = []
    for token in words[i + 2 :]:
        if token.text in ("=", ";", "{"):
            break
        kind.append(token)
    named = [t.text for t in kind if t.kind == "word" and not _PLAIN.fullmatch(t.text)]
    if not named and not any(t.text == "$" for t in kind):
        return
    cells = [t for t in words if t.kind == "word" and _CELLS.fullmatch(t.text)]
    if cells:
        what = f"`static {_get_text(words, i + 1)}` beside `{cells[0].text}` is not admitted"
        raise _make_refusal(what, line, [_CONST])


def _check_attribute(words: Sequence[Token], i: int) -> None:
    inner = _get_text(words, i + 1) == "!"
    at = i + 2 if inner else i + 1
    if _get_text(words, at) != "[" or at + 1 >= len(words):
        return
    name = words[at + 1]
    if name.kind != "word":
        return  # #[$meta:meta] in a macro's pattern
    if name.text == "unsafe" and _get_text(words, at + 2) == "(" and at + 3 < len(words):
        name = words[at + 3]  # #[unsafe(no_mangle)]
    known = INNER if inner else ATTRIBUTES
    if name.text not in known:
        mark = "#![" if inner else "#["
        honest = [WORDS[name.text]] if name.text in WORDS else known
        raise _make_refusal(f"`{mark}{name.text}]` is not admitted", name.line, honest)


def _check_metavariable(words: Sequence[Token], i: int) -> None:
    """`$name!(...)` calls the macro it is given: the scan cannot see which one."""
    opened = _get_text(words, i + 3) in ("(", "[", "{")
    if i + 3 < len(words) and words[i + 1].kind == "word" and words[i + 2].text == "!" and opened:
        what = f"a macro called by the metavariable `${words[i + 1].text}` is not admitted"
        raise _make_refusal(what, words[i].line, ["macros called by their names"])


# ---- audit: what was built ---------------------------------------------------------------

_SYMBOLS = re.compile(
    r"mem(cpy|move|set|cmp)|bcmp|strlen|_GLOBAL_OFFSET_TABLE_|(DW\.ref\.)?rust_eh_personality"
    r"|__rustc::__rust_(alloc|dealloc|realloc|alloc_zeroed|no_alloc_shim_is_unstable\w*)"
    r"|__rust_(alloc|dealloc|realloc|alloc_zeroed|no_alloc_shim_is_unstable\w*)"
    r"|(fma|fmod|floor|ceil|trunc|round|roundeven|rint|nearbyint|sqrt|cbrt|exp|exp2|expm1|log|log2"
    r"|log10|log1p|pow|sin|cos|tan|atan|atan2|hypot|fmin|fmax|fdim|ldexp)f?"
    r"|__(u?div|u?mod|u?divmod|mul|ashl|ashr|lshr|float|floatun|fix|fixuns|extend|trunc|powi)"
    r"[a-z]{2,4}\d?"
    r"|lar_shim::(has|FEATURES|NONE)(::\w+)*"
)
"""Undefined symbols beyond core, alloc and the prelude: the C memory functions, the allocator's
entry points, libm, compiler-rt's arithmetic, the shim's feature word."""

_ERROR_VALUE = re.compile(r"std::io::error(::\w+)*")
"""The plain error value of std, which Lance's decoders return: part of many symbols' names."""

_ROOTS = re.compile(r"(?<![\w:$.])([A-Za-z_]\w*)::")
_TRUSTED_ROOTS = frozenset(("core", "alloc", "prelude", "kernels"))
_WRITABLE = re.compile(r"\.(data|bss|tdata|tbss|init_array|fini_array|preinit_array|ctors|dtors)\b")
_EXPORTS = re.compile(r"_?lar_[a-z]+_v\d+")
_EVERYWHERE = frozenset(
    ("std", "core", "alloc", "kernels", "self", "new", "fn", "impl", "for", "as", "mut", "dyn",
     "data", "bss", "text", "u8", "u32", "u64", "usize", "i32", "i64", "f32", "f64", "str", "bool")
)  # fmt: skip
"""Parts of symbols that say nothing about the line they come from."""
_MENDS: Sequence[tuple[str, str]] = (
    (r"std_detect|feature_detected", _HAS),
    (r"thread|pthread", MODULES["thread"]),
    (r"RandomState|hash::random|getrandom|HashMap|HashSet",
     "BTreeMap or its own table: HashMap draws random keys"),
    (r"std::time|clock", MODULES["time"]),
    (r"print|stdio|std::(fs|net|process|os|env)", "the outputs it is handed"),
)  # fmt: skip


def check_audit(report: Mapping[str, Any], text: bytes = b"") -> None:
    """Check `lar-conductor audit`'s report on the kernel's own object and its library.

    Args:
        report: {"undefined": [demangled names], "sections": [{"name", "size", "flags"}],
            "exports": [names exported by the linked library]}.
        text: the kernel; the error cites the line that first names the symbol's source.

    Raises:
        RejectedKernel: names the symbol or section and how to fix it.
    """
    for section in report.get("sections", ()):
        name = str(section["name"])
        writable = _WRITABLE.match(name) or "W" in str(section.get("flags", ""))
        if section["size"] and writable and not name.startswith(".data.rel.ro"):
            raise RejectedKernel(
                f"the object has {section['size']} bytes of writable state in "
                f"{_shorten_section(name)}",
                where=_find_place(_shorten_section(name), text),
                allowed=[_CONST],
            )
    for symbol in report.get("undefined", ()):
        name = re.sub(r"::h[0-9a-f]{16}$", "", str(symbol))
        if not _is_known_symbol(name):
            mend = next((m for p, m in _MENDS if re.search(p, name)), None)
            raise RejectedKernel(
                f"the object needs `{name[:200]}`",
                where=_find_place(name, text),
                allowed=[mend or "core, alloc and what the first kernel uses"],
            )
    for export in report.get("exports", ()):
        if not _EXPORTS.fullmatch(str(export)):
            raise RejectedKernel(
                f"the library exports `{str(export)[:200]}`",
                where=_find_place(str(export), text),
                allowed=["plain `pub fn`, no attribute"],
            )


def _find_place(symbol: str, text: bytes) -> str:
    """`kernels.rs:LINE` of the first token that can have caused a symbol or section.

    The search for `std::thread::spawn` tries `spawn`, then `thread`, then any word about threads,
    `.init_array` inside strings too; `kernels.rs` alone if nothing fits.
    """
    lines: dict[str, int] = {}
    for token in split_tokens(text.decode("utf-8", "replace")):
        lines.setdefault(token.text, token.line)
    parts = [p for p in re.findall(r"[A-Za-z_]\w*", symbol) if p not in _EVERYWHERE]
    found = next((lines[p] for p in reversed(parts) if p in lines), None)
    if found is None:
        itself = re.escape(symbol.split(" ")[0])
        about = next((p for p, _ in _MENDS if re.search(p, symbol)), itself)
        found = next((line for word, line in lines.items() if re.search(about, word)), None)
    return "kernels.rs" if found is None else f"kernels.rs:{found}"


def _shorten_section(section: str) -> str:
    """`.data._ZN7kernels4LAST17h898cad5cE` reads `.data (kernels::LAST)`."""
    kind, _, mangled = section.partition("._ZN")
    parts: list[str] = []
    while digits := re.match(r"\d+", mangled):
        end = digits.end() + int(digits[0])
        parts.append(mangled[digits.end() : end])
        mangled = mangled[end:]
    return f"{kind} ({'::'.join(parts[:-1])})" if len(parts) > 1 else section


def _is_known_symbol(name: str) -> bool:
    if _SYMBOLS.fullmatch(name):
        return True
    roots = set(_ROOTS.findall(_ERROR_VALUE.sub("core::io", name)))
    return bool(roots) and roots <= _TRUSTED_ROOTS
