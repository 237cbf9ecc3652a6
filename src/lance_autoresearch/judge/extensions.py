"""Instructions that not every processor has: a kernel must ask for them before it uses them.

    check_features_asked(scan)      # text: each feature that is enabled is one `has` asks for
    check_features_guarded(report)  # the object in which every `has` is false: none is used

Both sides of a comparison run on one processor, which may have more than Lance requires. An
instruction that the kernel does not ask for would be right and fast here, and would end a query
with SIGILL elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.judge.rust_tokens import KernelScan
from lance_autoresearch.text.plain_text import strip_text

_BEYOND = re.compile(r"avx512\w*|gfni|vaes|vpclmulqdq")
"""Names in `enable = "..."` that a Haswell does not have and `Feature` does."""
IMPLIED: Mapping[str, Sequence[str]] = {
    "avx512bw": ("avx512vbmi", "avx512vbmi2", "avx512bitalg", "avx512bf16", "avx512fp16"),
    "avx512dq": ("avx512fp16",),
    "avx512vl": ("avx512fp16",),
}
"""A feature that comes with others (rustc's own table); `avx512f` comes with each of them."""


def check_features_asked(scan: KernelScan) -> None:
    """Check that a kernel asks for each feature that it enables.

    Raises:
        RejectedKernel: names the feature, its line and the question.
    """
    questions = {name.lower() for name in scan.capitals}
    for line, feature in scan.enabled:
        if not _BEYOND.fullmatch(feature):
            continue
        wider = IMPLIED.get(feature, ())
        known = {feature, *wider} & questions
        if not known and not (
            feature == "avx512f" and any(q.startswith("avx512") for q in questions)
        ):
            raise RejectedKernel(
                f"`{strip_text(feature, 40)}` is enabled and never asked for",
                where=f"kernels.rs:{line}",
                allowed=[
                    f"lar_shim::has(lar_shim::Feature::{strip_text(feature, 40).capitalize()})"
                ],
            )


def check_features_guarded(report: Mapping[str, Any]) -> None:
    """Check `lar-conductor audit`'s report on the object that was built without any feature.

    Args:
        report: {"extensions": [{"feature", "function"}]}: what needs more than a Haswell.

    Raises:
        RejectedKernel: names the function and the feature.
    """
    for found in report.get("extensions", ()):
        feature, function = (strip_text(str(found[k]), 160) for k in ("feature", "function"))
        raise RejectedKernel(
            f"`{function}` needs {feature} and is reached without asking for it",
            where="kernels.rs",
            allowed=["if lar_shim::has(lar_shim::Feature::...) around each call of it"],
        )
