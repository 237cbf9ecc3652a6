"""Every error a user can meet: what happened, where, what is allowed, the next command.

    raise UsageError("no target named 'ham'", allowed=["cosine", "hamming"], next="lar targets")

prints as

    error: no target named 'ham'
      allowed: cosine, hamming
      next:    lar targets

One base class; the exit code is part of the class, so a command never has to choose it.
"""

from __future__ import annotations

from collections.abc import Iterable


class LarError(Exception):
    """Base of all expected failures.

    Args:
        what: one sentence, lower case, no full stop.
        where: the file, line, item or case it is about.
        allowed: the values that would have been accepted.
        next: the command to type next.
    """

    exit_code = 70
    """Process exit status (sysexits: 70 is an internal error)."""

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        allowed: Iterable[str] | None = None,
        next: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.allowed = tuple(allowed) if allowed is not None else None
        self.next = next

    def __str__(self) -> str:
        lines = [self.what if self.where is None else f"{self.where}: {self.what}"]
        if self.allowed is not None:
            lines.append(f"  allowed: {', '.join(self.allowed) or '(none)'}")
        if self.next is not None:
            lines.append(f"  next:    {self.next}")
        return "\n".join(lines)


class UsageError(LarError):
    """A wrong option, name or combination on the command line."""

    exit_code = 64


class MachineError(LarError):
    """The machine, not the kernel, failed: the trial may be run again."""

    exit_code = 4


class UpstreamError(MachineError):
    """Lance's source could not be fetched, verified or extracted as the manifest says."""

    exit_code = 4


class BuildFault(LarError):
    """Trusted code (shim, prelude, contract, upstream's slice, conductor) did not build."""

    exit_code = 4


class LedgerError(LarError):
    """The ledger or a campaign's branch is not in a state this command can work from."""

    exit_code = 4


class AlteredRecord(LedgerError):
    """`lar log --verify` found that recorded trials were changed."""

    exit_code = 70


class RejectedKernel(LarError):
    """The kernel was refused before it ran: admission, compile, audit or sandbox."""

    exit_code = 3
