"""The CPU features that kernels may use, as a word: read without a measuring program.

Bits as in rust/abi/src/call.rs; names as in /proc/cpuinfo.
"""

from __future__ import annotations

from pathlib import Path

from lance_autoresearch.bench.tiers import apply_limit
from lance_autoresearch.host.cpu_kinds import read_processor
from lance_autoresearch.host.machine import list_cores

_X86 = (
    "sse4_2", "popcnt", "avx", "avx2", "fma", "f16c", "bmi1", "bmi2", "avx512f", "avx512bw",
    "avx512vl", "avx512dq", "avx512cd", "avx512vbmi", "avx512_vbmi2", "avx512_vnni",
    "avx512_bitalg", "avx512_vpopcntdq", "avx512ifma", "gfni", "vaes", "vpclmulqdq",
    "avx512_bf16", "avx512_fp16",
)  # fmt: skip


def find_features(root: Path = Path("/")) -> int:
    """The word of this machine, without what LAR_TIER takes away."""
    flags = read_processor(root, core=list_cores()[-1]).flags
    return apply_limit(sum(1 << bit for bit, name in enumerate(_X86) if name in flags))
