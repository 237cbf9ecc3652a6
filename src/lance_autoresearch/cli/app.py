"""The `lar` command: its verbs, and how each of them ends.

A verb is one file in this directory and one row of `VERBS`. Nothing of a verb is imported
before it is called, so `lar --help` costs a Python start and the option parser, no more.

    lar tri hamming    ->  error: no command 'tri'            exit 64
                             allowed: try, targets, ...
                             next:    lar try
    lar try hamming -m ->  the verb's own exit code           0 keep ... 4 inconclusive
    Ctrl-C             ->  interrupted                        exit 130
    a defect of ours   ->  traceback, one line to report      exit 70

With `--json` a failure is `{"error": {"what": ..., "next": ..., "exit_code": 64}}` on stdout.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lance_autoresearch import __version__
from lance_autoresearch.cli.process import (
    LostOutput,
    discard_output,
    prepare_process,
    was_interrupted,
)
from lance_autoresearch.errors import LarError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cyclopts import App, CycloptsError

PACKAGE = "lance_autoresearch.cli"
HERE = Path(__file__).parent

DEBUG = "LAR_DEBUG"
"""Set it to see the traceback of an error of the system too."""
EXIT_USAGE = 64
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


class Verb(NamedTuple):
    """One command: its name, where it lives, and its line in `lar --help`."""

    name: str
    """As typed; a verb of two words (`upstream fetch`) is a sub-command."""
    path: str
    """`module:function` below `lance_autoresearch.cli`."""
    group: str
    help: str

    @property
    def module(self) -> str:
        """File name without suffix, e.g. `try_`."""
        return self.path.partition(":")[0]


TRIAL, CAMPAIGN, RECORD, SETUP, ORACLE = (
    "One trial",
    "Campaigns",
    "What was found",
    "Set up",
    "The oracle",
)

VERBS: tuple[Verb, ...] = (
    Verb("try", "try_:try_kernel", TRIAL, "Judge the current kernel: keep, revert or refuse it."),
    Verb(
        "diff", "diff:show_differences", TRIAL, "Compare a kernel with Lance and show the values."
    ),
    Verb(
        "rewrite", "rewrite:print_rewrite", TRIAL, "Print a kernel with one mechanical rewrite."
    ),
    Verb("explain", "explain:explain", TRIAL, "Show a kernel's loops and how fast memory is."),
    Verb(
        "bench",
        "bench:measure_champion",
        TRIAL,
        "Measure the champion against Lance: the figure to quote.",
    ),
    Verb(
        "integrate",
        "integrate:integrate",
        TRIAL,
        "Measure a kernel in whole queries of the real Lance.",
    ),
    Verb(
        "start",
        "start:start_campaign",
        CAMPAIGN,
        "Begin a campaign on its own branch and worktree.",
    ),
    Verb(
        "loop",
        "loop:run_agent_loop",
        CAMPAIGN,
        "Let an agent drive trials until a budget is spent.",
    ),
    Verb("fleet", "fleet:run_fleet", CAMPAIGN, "Judge candidates on several CPU kinds."),
    Verb("status", "status:show_status", CAMPAIGN, "Show what runs now, and how far it is."),
    Verb(
        "mcp", "mcp:serve_mcp", CAMPAIGN, "Serve the verbs as tools of the Model Context Protocol."
    ),
    Verb("log", "log:show_log", RECORD, "List, export and verify the trials of the ledger."),
    Verb("report", "report:report_campaign", RECORD, "Write a page and a picture of a campaign."),
    Verb(
        "lessons",
        "lessons:show_lessons",
        RECORD,
        "Show what was tried on a target and what failed.",
    ),
    Verb(
        "replay", "replay:replay_recorded", RECORD, "Run a recorded trial again from its own bytes."
    ),
    Verb("ablate", "ablate:ablate", RECORD, "Find the smallest change that holds a gain."),
    Verb("bundle", "bundle:bundle", RECORD, "Make a pull request with its evidence."),
    Verb("rejudge", "rejudge:rejudge", RECORD, "Apply the decision rule to recorded pairs."),
    Verb(
        "calibrate",
        "calibrate:calibrate_gate",
        RECORD,
        "Run trials whose correct verdict is known.",
    ),
    Verb(
        "gc",
        "gc:collect_garbage",
        RECORD,
        "Free disk space: drop old blobs and builds, never a row.",
    ),
    Verb("demo", "demo:run_demo", SETUP, "Run real trials in a minute; no account is needed."),
    Verb(
        "doctor", "doctor:run_doctor", SETUP, "Check this machine and print a fix for each fault."
    ),
    Verb("targets", "targets:list_targets", SETUP, "List the kernels, their call sites and state."),
    Verb("validate", "validate:validate", SETUP, "Prove that a target refuses wrong kernels."),
    Verb("new", "new:make_target", SETUP, "Make a target from a function of Lance."),
    Verb(
        "upstream fetch",
        "upstream:fetch_upstream",
        ORACLE,
        "Fetch, verify and slice the pinned release.",
    ),
    Verb("upstream show", "upstream:show_upstream", ORACLE, "Show what a target takes from Lance."),
    Verb("upstream drift", "upstream:show_drift", ORACLE, "Show what changed in another release."),
    Verb("upstream pin", "upstream:pin_upstream", ORACLE, "Move to another release."),
)

OLD_NAMES: tuple[Verb, ...] = (
    Verb("check", "old_names:run_check", TRIAL, "Now `validate` and `diff`."),
    Verb("gate", "old_names:run_gate", RECORD, "Now `rejudge`."),
)
"""Hidden for one more release: accepted, but in no help page and in no suggestion."""

EPILOGUE = (
    "Exit codes: 0 keep or done, 1 revert, 2 incorrect, 3 rejected, 4 inconclusive or the "
    "machine is at fault, 64 wrong usage, 70 a defect of this tool (lar log --verify: altered "
    "records), 130 interrupted."
)


def list_verbs() -> tuple[Verb, ...]:
    """The verbs whose file exists in this checkout, in help order."""
    files = {p.stem for p in HERE.iterdir()}
    return tuple(v for v in VERBS if v.module in files)


def build_app(described: Sequence[str] = ()) -> App:
    """The option parser with every present verb, none of them imported.

    A verb among `described` gets no short line from the table, so that its help page shows
    the whole docstring of its function (`lar try --help`; `lar try -h` stays short).
    """
    from cyclopts import App, Group, Parameter

    common: dict[str, Any] = {"help_format": "plaintext", "version_flags": []}
    app = App(
        name="lar",
        help="Make Lance's hot kernels faster, and know which gains are real.",
        help_epilogue=EPILOGUE,
        version=__version__,
        help_format="plaintext",
        help_formatter="default" if sys.stdout.isatty() else "plain",
        suppress_keyboard_interrupt=False,
        result_action="return_value",
        default_parameter=Parameter(negative=()),
    )
    groups = {n: Group(n, sort_key=i) for i, n in enumerate(dict.fromkeys(v.group for v in VERBS))}
    parents: dict[str, App] = {}
    for rank, verb in enumerate(list_verbs()):
        head, _, tail = verb.name.partition(" ")
        target = f"{PACKAGE}.{verb.path}"
        line = None if (tail or head) in described else verb.help
        if not tail:
            app.command(target, name=head, help=line, group=groups[verb.group], sort_key=rank)
            continue
        if head not in parents:
            about = "Lance's own source: fetch, show, drift, pin."
            parents[head] = App(name=head, help=about, group=groups[verb.group], **common)
            app.command(parents[head])
        parents[head].command(target, name=tail, help=line, sort_key=rank)
    for verb in OLD_NAMES:
        app.command(f"{PACKAGE}.{verb.path}", name=verb.name, help=verb.help, show=False)
    return app


def explain_unknown_command(error: CycloptsError) -> UsageError:
    """The nearest verbs for a mistyped one."""
    import difflib

    typed = (error.unused_tokens or ["?"])[0]
    chain = " ".join(error.command_chain or ())
    names = [
        v.name.removeprefix(chain).strip() if chain else v.name.split()[0]
        for v in list_verbs()
        if v.name.startswith(chain)
    ]
    names = list(dict.fromkeys(names))
    near = difflib.get_close_matches(typed, names, n=1, cutoff=0.4)
    full = " ".join(filter(None, ("lar", chain, near[0] if near else "--help")))
    return UsageError(f"no command '{typed}'", allowed=names, next=full)


def translate_usage_error(error: CycloptsError) -> UsageError:
    """A parser's complaint as one of our errors."""
    from cyclopts import UnknownCommandError

    if isinstance(error, UnknownCommandError):
        return explain_unknown_command(error)
    # The parser's own hints ("Did you mean") sit in its message; keep the first line.
    what = " ".join(str(error).split()).rstrip(".")
    chain = " ".join(("lar", *(error.command_chain or ())))
    return UsageError(what, next=f"{chain} --help")


def make_typeable(command: str | None) -> str | None:
    """The next command in a form that works: `./lar` if `lar` is not on PATH."""
    import re
    import shutil

    if command is None or shutil.which("lar"):
        return command
    return re.sub(r"(?<![\w./-])lar (?=[a-z-])", "./lar ", command)


def report_failure(error: LarError, *, json_wanted: bool) -> int:
    """Report an error where the caller reads it. Returns the exit code."""
    error.next = make_typeable(error.next)
    if json_wanted:
        import json

        body = {
            "what": error.what,
            "where": error.where,
            "allowed": list(error.allowed) if error.allowed is not None else None,
            "next": error.next,
            "kind": type(error).__name__,
            "exit_code": error.exit_code,
        }
        print(json.dumps({"error": body}))
    else:
        print(f"error: {error}", file=sys.stderr)
    return error.exit_code


def find_os_error(error: BaseException | None) -> OSError | MemoryError | None:
    """The error of the system that an exception is or came from, or None."""
    while error is not None:
        if isinstance(error, (OSError, MemoryError)):
            return error
        error = error.__cause__ or error.__context__
    return None


def report_defect(error: Exception, *, json_wanted: bool) -> int:
    """Report an unexpected exception: the traceback for us, one line for the caller."""
    import traceback

    if isinstance(error, LarError):
        return report_failure(error, json_wanted=json_wanted)
    if (cause := find_os_error(error)) is not None:
        from lance_autoresearch.host.os_errors import explain_os_error

        if os.environ.get(DEBUG):
            traceback.print_exception(error)
        return report_failure(explain_os_error(cause), json_wanted=json_wanted)
    traceback.print_exception(error)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f"{Path(last[0].filename).name}:{last[0].lineno}" if last else None
    wrapped = LarError(
        f"a defect of lar itself: {type(error).__name__}: {error}",
        where=where,
        next="report the traceback above; lar doctor shows what may have caused it",
    )
    return report_failure(wrapped, json_wanted=json_wanted)


def run_command_line(argv: Sequence[str]) -> int:
    """Run one command line; never raises. Returns the exit code."""
    json_wanted = "--json" in argv
    try:
        return _run_verb(argv)
    except KeyboardInterrupt:
        return _report_interrupt()
    except LarError as error:
        if was_interrupted():       # a child was interrupted too, and its failure came first
            return _report_interrupt()
        failure: Exception = error  # the name of an except clause ends with it
        return _report_last(lambda: report_defect(failure, json_wanted=json_wanted))
    except BrokenPipeError:
        discard_output()
        return EXIT_BROKEN_PIPE
    except Exception as error:
        if was_interrupted():
            return _report_interrupt()
        failure = error
        return _report_last(lambda: report_defect(failure, json_wanted=json_wanted))


def _run_verb(argv: Sequence[str]) -> int:
    from cyclopts import CycloptsError

    try:
        described = argv if "--help" in argv else ()
        code = build_app(described)(list(argv), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise translate_usage_error(error) from error
    sys.stdout.flush()
    return code if isinstance(code, int) else 0


def _report_last(report: Callable[[], int]) -> int:
    """Report a failure where standard output may be the one that failed."""
    try:
        code = report()
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        return EXIT_BROKEN_PIPE
    except LostOutput as error:
        return report_failure(error, json_wanted=False)
    return code


def _report_interrupt() -> int:
    print("interrupted", file=sys.stderr)
    return EXIT_INTERRUPTED


def main() -> None:
    """Entry point of the `lar` script; into a pipe or a file it speaks line by line too."""
    code = EXIT_INTERRUPTED
    try:
        prepare_process()
        code = run_command_line(sys.argv[1:])
        signal.signal(signal.SIGINT, signal.SIG_DFL)    # all is done: nothing to clean up
    except KeyboardInterrupt:
        _report_interrupt()
    sys.exit(code)
