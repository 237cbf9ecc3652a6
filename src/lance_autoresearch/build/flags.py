"""The only place where flags of measured code stand.

    select_rust_flags("x86_64-unknown-linux-gnu", "screen")  # ["-Copt-level=3", ...]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lance_autoresearch.errors import UsageError

_OTHER = ["-Copt-level=3", "-Ccodegen-units=1", "-Cpanic=abort"]
_X86 = [*_OTHER, "-Ctarget-cpu=haswell", "-Ctarget-feature=+avx2,+fma,+f16c"]
_ALIGN = ["-Cllvm-args=-align-all-functions=6", "-Cllvm-args=-align-loops=64"]

FLAGS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "x86_64": {"quote": _X86, "screen": [*_X86, *_ALIGN]},
    "aarch64": {"quote": _OTHER, "screen": [*_OTHER, *_ALIGN]},
}
"""Architecture -> name -> rustc flags.

`quote` is what figures are quoted with; `screen` also aligns functions and loops to 64 bytes,
which takes layout noise of one combo from 21 % to 2 %. Never `native`: that makes Lance's own
code slower than what Lance ships."""

COMMON = [
    "--edition=2024", "--cap-lints=allow", "-Cdebuginfo=0", "-Cembed-bitcode=no",
    "-Cmetadata=lar", "-Cstrip=debuginfo",
]  # fmt: skip
"""What every crate is compiled with."""


def select_rust_flags(host: str, name: str) -> Sequence[str]:
    """Flags for a target triple. UsageError for an unknown name."""
    table = FLAGS["x86_64" if host.startswith("x86_64") else "aarch64"]
    if name not in table:
        raise UsageError(f"no flags named '{name}'", allowed=sorted(table))
    return table[name]
