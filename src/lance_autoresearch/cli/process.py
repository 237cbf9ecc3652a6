"""The process around a command: its descriptors, its encoding, Ctrl-C.

    prepare_process()          before anything else
    was_interrupted()          whether Ctrl-C came, also where Python swallowed it
"""

from __future__ import annotations

import io
import os
import signal
import sys
from types import FrameType
from typing import Any

from lance_autoresearch.errors import MachineError

RESTARTED = "LAR_RESTARTED"
"""Set by this module for the second start of the interpreter; no loop of starts."""
LATER_S = 0.01

_seen = {"interrupt": False}


class LostOutput(MachineError):
    """Standard output takes no more."""


class _Descriptor(io.RawIOBase):
    """A standard stream whose failure is distinguished from that of a file."""

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        try:
            return os.write(self._number, data)
        except BrokenPipeError:
            if self._number == 1:
                raise
        except OSError as error:
            if self._number == 1:
                discard_output()
                raise LostOutput(
                    f"standard output cannot be written: {error.strerror}",
                    next="look where it leads; a trial that was judged is in ./lar log",
                ) from error
        return len(data)            # what goes to a lost standard error has no reader


def prepare_process() -> None:
    """Make descriptors, encoding and Ctrl-C what every command expects."""
    _open_missing_descriptors()
    _restart_if_unfit()
    _wrap_streams()
    _catch_interrupts()


def was_interrupted() -> bool:
    """Whether Ctrl-C came."""
    return _seen["interrupt"]


def discard_output() -> None:
    """From now on what goes to standard output is dropped."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _open_missing_descriptors() -> None:
    """A closed standard stream leads to /dev/null; else the ledger would get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _restart_if_unfit() -> None:
    """Start again in UTF-8 mode and with docstrings, whatever the caller's environment says.

    Texts of agents, compilers and people are UTF-8 in any locale; help pages are docstrings.
    """
    import codecs
    import locale

    encoding = codecs.lookup(locale.getencoding()).name
    foreign = encoding != "utf-8" and not sys.flags.utf8_mode
    if (foreign or sys.flags.optimize > 1) and RESTARTED not in os.environ:
        env = {name: value for name, value in os.environ.items() if name != "PYTHONOPTIMIZE"}
        env |= {"PYTHONUTF8": "1", RESTARTED: encoding if foreign else "utf-8"}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], env)


def _wrap_streams() -> None:
    """Line by line, also into a pipe; a character that the encoding lacks is replaced."""
    wanted = os.environ.pop(RESTARTED, "utf-8")
    encoding, errors = ("utf-8", "backslashreplace") if wanted == "utf-8" else (wanted, "replace")
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is not None and getattr(stream, "name", "") != f"<{name}>":
            continue                # a stand-in, such as a test's
        if stream is not None and wanted == "utf-8":
            encoding = stream.encoding
        raw = io.BufferedWriter(_Descriptor(number))
        setattr(sys, name, io.TextIOWrapper(raw, encoding, errors, line_buffering=True))


def _catch_interrupts() -> None:
    """Ctrl-C raises KeyboardInterrupt and is not forgotten where Python would swallow it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _raise_interrupt)
        sys.unraisablehook = _repeat_interrupt
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _raise_interrupt(number: int, frame: FrameType | None) -> None:
    _seen["interrupt"] = True
    raise KeyboardInterrupt


def _repeat_interrupt(unraisable: sys.UnraisableHookArgs) -> None:
    """An interrupt inside a destructor comes again, a moment later."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    import threading

    timer = threading.Timer(LATER_S, signal.raise_signal, (signal.SIGINT,))
    timer.daemon = True
    timer.start()
