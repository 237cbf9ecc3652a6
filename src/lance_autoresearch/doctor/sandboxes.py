"""The sandboxes of workers and of agents, tried, and why they do not start."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import shutil
from pathlib import Path

from lance_autoresearch.doctor.finding import Finding
from lance_autoresearch.host import agent_sandbox, landlock, sandbox
from lance_autoresearch.host.capabilities import find_system_root

_CLONE_NEWUSER = 0x10000000


def check_sandbox(root: Path) -> Finding:
    if sandbox.find_bubblewrap():
        return Finding("box", "ok", "bubblewrap, tried")
    why, fix = _explain_missing_bubblewrap()
    if version := landlock.read_version():
        weaker = "Landlock hides less: kernels could see names of files and processes"
        return Finding("box", "weak", f"Landlock {version}; {why}", weaker, fix)
    if os.environ.get(sandbox.UNBOXED) == "1":
        weaker = f"{sandbox.UNBOXED}=1: a kernel runs with your rights; every keep is marked"
        return Finding("box", "weak", why, weaker, fix)
    weaker = f"untrusted code is refused; {sandbox.UNBOXED}=1 accepts the risk"
    return Finding("box", "fault", f"{why}; no Landlock", weaker, fix)


def check_agent_sandbox(root: Path) -> Finding:
    """The sandbox of an agent's program needs more than a worker's: it is tried too."""
    if sandbox.find_bubblewrap() is None:
        weaker = "no agent's program is started without bubblewrap"
        if os.environ.get(sandbox.UNBOXED) == "1":
            weaker = f"{sandbox.UNBOXED}=1: an agent's program runs with your rights"
        return Finding("agent box", "weak", "no bubblewrap that works", weaker,
                       _explain_missing_bubblewrap()[1])
    why = agent_sandbox.find_sandbox_fault()
    if why is None:
        return Finding("agent box", "ok", "bubblewrap, tried")
    _, fix = _explain_missing_bubblewrap()
    weaker = "lar loop cannot start an agent's program; trials work"
    return Finding("agent box", "weak", f"bubblewrap does not start: {why}", weaker, fix)


APPARMOR = "kernel/apparmor_restrict_unprivileged_userns"
SWITCHES = (
    *((f"user/max_{kind}_namespaces", "0", "10000")
      for kind in ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")),
    ("kernel/unprivileged_userns_clone", "0", "1"),
    (APPARMOR, "1", "0"),
)  # fmt: skip
"""Settings below /proc/sys that forbid namespaces: name, value that does, value to set."""
PROFILE = (
    "cp tools/apparmor-bwrap /etc/apparmor.d/bwrap && "
    "apparmor_parser -r /etc/apparmor.d/bwrap, as root"
)
"""Allows bubblewrap alone what the switch would allow every program."""


def _explain_missing_bubblewrap() -> tuple[str, str]:
    """Why bubblewrap does not start, and the fix."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed", "apt-get install bubblewrap, as root"
    for name, forbids, allows in SWITCHES:
        with contextlib.suppress(OSError):
            if (find_system_root() / "proc" / "sys" / name).read_text().strip() == forbids:
                setting = name.replace("/", ".")
                why = f"bubblewrap does not start: {setting} is {forbids}"
                fix = f"sysctl {setting}={allows}, as root"
                return why, PROFILE if name == APPARMOR else fix
    if has_user_namespaces():
        why = "bubblewrap does not start: it may not mount a /proc of its own"
        return why, "docker run --security-opt systempaths=unconfined"
    why = "bubblewrap does not start: no user namespaces here"
    return why, "docker run --security-opt seccomp=unconfined; in a chroot: systemd-nspawn instead"


def has_user_namespaces() -> bool:
    """True if this user may create one; tried in a child that ends at once."""
    if platform.system() != "Linux":
        return False
    libc = ctypes.CDLL(None)
    child = os.fork()
    if child == 0:
        os._exit(0 if libc.unshare(_CLONE_NEWUSER) == 0 else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
