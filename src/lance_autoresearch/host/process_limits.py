"""The limits that a shell gives its programs: too few would look like a fault of a kernel.

    ensure_process_limits()    # raises soft limits; MachineError if too little is left

Compilers and kernels inherit these limits. With 64 open files, or files of 100 blocks, an honest
kernel fails; so the program says what is missing before it judges anything.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass

from lance_autoresearch.errors import MachineError
from lance_autoresearch.rules.policy import BUILD_LIMITS


@dataclass(frozen=True, slots=True)
class Need:
    """One limit, and the least of it with which everything works."""

    limit: int
    """A constant of `resource`."""
    least: int
    what: str
    flag: str
    """Option of the shell's `ulimit`, and its value."""


NEEDS = (
    Need(resource.RLIMIT_NOFILE, 256, "open files", "-n 1024"),
    Need(resource.RLIMIT_FSIZE, 1 << 30, "bytes of a file", "-f unlimited"),
    Need(resource.RLIMIT_AS, BUILD_LIMITS.memory_bytes, "bytes of address space", "-v unlimited"),
    Need(resource.RLIMIT_DATA, BUILD_LIMITS.memory_bytes, "bytes of data", "-d unlimited"),
    Need(resource.RLIMIT_CPU, 3600, "seconds of CPU", "-t unlimited"),
    Need(resource.RLIMIT_STACK, 1 << 20, "bytes of stack", "-s 8192"),
)
"""256 files: a worker's descriptors are moved above 64 while it starts, and a pair has some thirty.
1 GiB: the largest file of inputs. The rest is what a kernel's build and a trial may use."""


def ensure_process_limits() -> None:
    """Raise each soft limit that is too low as far as the hard limit allows.

    Raises:
        MachineError: the hard limit is too low: names the resource and the command.
    """
    for need in NEEDS:
        soft, hard = resource.getrlimit(need.limit)
        if _is_enough(soft, need.least):
            continue
        if not _is_enough(hard, need.least):
            raise MachineError(
                f"this shell allows {hard:,} {need.what}; {need.least:,} are needed",
                where="ulimit",
                next=f"ulimit {need.flag}   (in a shell that may do so), then run it again",
            )
        raised = hard if hard == resource.RLIM_INFINITY else min(hard, max(need.least, 4096))
        resource.setrlimit(need.limit, (raised, hard))


def _is_enough(value: int, least: int) -> bool:
    return value == resource.RLIM_INFINITY or value >= least
