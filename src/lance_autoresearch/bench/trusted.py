"""The trusted half of a bench: the target, Lance's own kernel and library, digests of the rules.

    trusted = Trusted.prepare(root, "hamming")      built on first use, cached afterwards
    trusted.build(text)                           a kernel's library
    trusted.measure_provenance(policy)["all"]     under which rules a verdict is made
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lance_autoresearch import oracle
from lance_autoresearch.bench.conductor import ensure_built
from lance_autoresearch.build import builder
from lance_autoresearch.build.provenance import measure_provenance
from lance_autoresearch.host.machine_lock import lock_machine
from lance_autoresearch.host.toolchain import Toolchain
from lance_autoresearch.rules.policy import Policy
from lance_autoresearch.targets import catalogue
from lance_autoresearch.targets.spec import Target


@dataclass(frozen=True, slots=True)
class Trusted:
    """What no kernel can touch."""

    root: Path
    target: Target
    first_kernel: bytes
    """Lance's own kernel: baseline and starting point."""
    oracle: builder.Built
    """Lance's own library."""
    toolchain: str
    """Version of the compiler."""
    _provenance: dict[Policy, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def prepare(cls, root: Path, target: str) -> Trusted:
        """Build what is missing.

        Raises:
            LarError: no such target, no toolchain, upstream not as pinned, a build fault.
        """
        with lock_machine("shared"):
            spec = catalogue.load_target(root, target)
            oracle.fetch_upstream(root)
            ensure_built(root)
            return cls(
                root,
                spec,
                builder.compose_first_kernel(root, target),
                builder.build_upstream(root, target),
                Toolchain.probe(root).version,
            )

    def build(self, text: bytes) -> builder.Built:
        """A kernel's library. Raises RejectedKernel if it does not compile."""
        return builder.build_kernel(self.root, self.target.name, text)

    def measure_provenance(self, policy: Policy) -> Mapping[str, str]:
        """Digests of everything that a kernel cannot touch, under a policy."""
        if policy not in self._provenance:
            self._provenance[policy] = measure_provenance(self.root, self.target, policy)
        return self._provenance[policy]
