"""Git, and the only module that runs it. It never touches the user's checkout, index or hooks.

    repo = Git(root)
    tree = repo.make_tree(base, "targets/hamming/kernel/kernels.rs", text, scratch)
    commit = repo.make_commit(tree, base, "hamming: +2.1%")  # exists, but nothing points to it
    repo.move_ref("refs/heads/lar/hamming/a", commit, old=None) # now a ref does

Commits are made by plumbing with an index of our own. The user's global and system
configuration is not read, hooks do not run, nothing is signed, and what the repository's own
configuration could start (monitors, automatic gc) is switched off.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lance_autoresearch.errors import LedgerError
from lance_autoresearch.host.files import write_atomically
from lance_autoresearch.host.git_worktree import find_git_dir, find_own_git_dir, remove_old_lock

TIMEOUT_S: Final = 60.0
IDENTITY: Final = {"NAME": "lar", "EMAIL": "lar@localhost"}
HEAD_TRAILER: Final = "Lar-Head"
"""Trailer of our commits: the ledger's head before the row that names the commit."""
CHECKOUT_TRAILER: Final = "Lar-Checkout"
"""Trailer of our commits: the checkout whose ledger names the commit. Checkouts made by `git
worktree add` share all branches, but each has a ledger of its own."""

_SETTINGS: Final = (
    ("core.hooksPath", os.devnull),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.autocrlf", "false"),
    ("core.attributesFile", os.devnull),
    ("core.excludesFile", os.devnull),
    ("core.fsync", "committed"),
    ("core.sparseCheckout", "false"),
    ("core.logAllRefUpdates", "true"),
    ("commit.gpgSign", "false"),
    ("i18n.commitEncoding", "UTF-8"),
    ("i18n.logOutputEncoding", "UTF-8"),
    ("log.showSignature", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("safe.directory", "*"),
)


_REMEDIES: Final = (
    ("not a git repository", "git init && git add -A && git commit, or work in a clone"),
    ("No space left", "free disk space (lar gc), then again"),
    ("diskspace", "free disk space (lar gc), then again"),
    ("write error", "free disk space (lar gc), then again"),
    ("unknown repository extension", "install a newer git: this one cannot read the repository"),
    ("Too many open files", "ulimit -n 1024, then again"),
    ("insufficient permission", "make .git writable for this user"),
    ("Permission denied", "make .git writable for this user"),
    ("promisor", "git fetch --refetch --no-filter: the repository lacks objects"),
)
"""Signs in what git says, and what ends the cause."""


def _clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment without its GIT_* variables, and with ours."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_EDITOR": ":",
        "LC_ALL": "C",
        "TZ": "UTC",
        "GIT_CONFIG_COUNT": str(len(_SETTINGS)),
    }
    for who in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{who}_{name}": value for name, value in IDENTITY.items()}
    for i, (key, value) in enumerate(_SETTINGS):
        env |= {f"GIT_CONFIG_KEY_{i}": key, f"GIT_CONFIG_VALUE_{i}": value}
    return env | dict(extra)


@dataclass(frozen=True, slots=True)
class CommitNote:
    """What one of our commits says of the ledger that names it."""

    head: str
    """The ledger's head before the row."""
    checkout: str = ""
    """The checkout it was made in; empty in commits of older releases."""


@dataclass(frozen=True, slots=True)
class Git:
    """One repository, by its checkout."""

    root: Path
    lock: int | None = None
    """Descriptor of a held lock that every git process inherits: while an orphan of a killed
    parent still works, no other process gets the lock."""

    def run(
        self,
        *args: str,
        at: Path | None = None,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        fail: bool = True,
    ) -> bytes | None:
        """Output of `git <args>`; None if it failed and `fail` is off.

        Raises:
            LedgerError: no git, no repository, a failed command, or no end within 60 s.
        """
        try:
            done = subprocess.run(
                ["git", *args],
                cwd=at or self.root,
                input=stdin,
                capture_output=True,
                env=_clean_environment(env or {}),
                pass_fds=() if self.lock is None else (self.lock,),
                timeout=TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError as error:
            raise LedgerError(
                "git was not found, or its directory is gone",
                where=str(at or self.root),
                next="install git, then again",
            ) from error
        except subprocess.TimeoutExpired as error:
            raise LedgerError(
                f"git {args[0]} did not end within {TIMEOUT_S:.0f} s", where=str(self.root)
            ) from error
        if done.returncode == 0:
            return done.stdout
        if fail:
            raise self._make_error(args, done.stderr)
        return None

    def _make_error(self, args: tuple[str, ...], stderr: bytes) -> LedgerError:
        said = " ".join(stderr.decode("utf-8", "replace").split())[:400]
        found = (following for sign, following in _REMEDIES if sign in said)
        following = next(found, "look at what git says; lar status then repairs what it can")
        return LedgerError(f"git {args[0]} failed: {said}", where=str(self.root), next=following)

    def run_text(self, *args: str, at: Path | None = None) -> str:
        """Output of a command as one stripped string."""
        return (self.run(*args, at=at) or b"").decode("utf-8", "replace").strip()

    # -- reading ---------------------------------------------------------------------------

    def read_head(self) -> str:
        """Commit of the user's checkout. Raises LedgerError if there is none yet."""
        found = self.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}", fail=False)
        if not found:
            self.run_text("rev-parse", "--git-dir")
            raise LedgerError(
                "the checkout has no commit to branch from",
                where=str(self.root),
                next="git add -A && git commit",
            )
        return found.decode().strip()

    def has_commit(self, commit: str) -> bool:
        """Whether a commit object exists."""
        return self.run("cat-file", "-e", f"{commit}^{{commit}}", fail=False) is not None

    def list_refs(self, prefix: str) -> dict[str, str]:
        """Full name -> commit of the refs below a prefix such as `refs/heads/lar/`."""
        lines = self.run_text("for-each-ref", "--format=%(refname) %(objectname)", prefix)
        return dict(line.split(" ", 1) for line in lines.splitlines())

    def read_file(self, commit: str, path: str) -> bytes | None:
        """Bytes of a file in a commit, or None."""
        return self.run("cat-file", "blob", f"{commit}:{path}", fail=False)

    def read_testimony(self, prefix: str = "refs/heads/lar/") -> dict[str, CommitNote]:
        """What the message of every commit of ours below a prefix says, by commit."""
        names = list(self.list_refs(prefix))
        if not names:
            return {}
        form = "--format=%H%n%B"
        grep = f"--grep=^{HEAD_TRAILER}: "
        out = self.run("log", "-z", grep, form, "--stdin", stdin="\n".join(names).encode())
        entries = (out or b"").decode("utf-8", "replace").split("\0")
        parted = (entry.partition("\n") for entry in entries if entry.strip())
        carried = {commit.strip(): parse_testimony(message) for commit, _, message in parted}
        return {commit: said for commit, said in carried.items() if said is not None}

    def has_testimony(self, commit: str) -> bool:
        """Whether a commit is one of ours: made for a row of a ledger."""
        message = self.run_text("log", "-1", "--format=%B", commit)
        return parse_testimony(message) is not None

    def read_checkout_id(self, *, make: bool = False) -> str:
        """This checkout's own name, kept where git keeps what belongs to it alone.

        Args:
            make: give it one if it has none yet; else that is an empty string.
        """
        path = Path(self.run_text("rev-parse", "--absolute-git-dir"), "lar-checkout")
        with contextlib.suppress(FileNotFoundError):
            return path.read_text().strip()
        if not make:
            return ""
        with contextlib.suppress(FileExistsError):  # another process was first
            part = path.with_name(f"lar-checkout.{secrets.token_hex(4)}")
            part.write_text(f"{secrets.token_hex(8)}\n")
            os.link(part, path)
            part.unlink()
        return path.read_text().strip()

    def check_repository(self, ref: str) -> None:
        """Refuse what cannot hold a campaign whose branch is `ref`, before anything is written.

        Raises:
            LedgerError: no repository, a bare one, a folder inside another repository, no commit,
                or git would not make that branch.
        """
        if self.run_text("rev-parse", "--is-inside-work-tree") != "true":
            raise LedgerError("this is a bare repository", where=str(self.root),
                              next="git clone it, then ./lar start in the clone")
        if prefix := self.run_text("rev-parse", "--show-prefix"):
            raise LedgerError(
                f"this checkout is only the folder {prefix} of another repository",
                where=str(self.root),
                next="git clone lance-autoresearch to a place of its own, or git init here",
            )
        probe = f"start\ncreate {ref} {self.read_head()}\nprepare\nabort\n"
        self.run("update-ref", "--stdin", stdin=probe.encode())

    # -- writing objects: nothing points to them yet ---------------------------------------

    def make_tree(self, base: str, path: str, data: bytes, scratch: Path) -> str:
        """Tree of `base` with one file replaced; `scratch` is where an index may be made."""
        env = {"GIT_INDEX_FILE": str(scratch)}
        scratch.unlink(missing_ok=True)
        self.run("read-tree", base, env=env)
        self._stage_file(path, self._write_blob(data), env)
        tree = (self.run("write-tree", env=env) or b"").decode().strip()
        scratch.unlink(missing_ok=True)
        return tree

    def _write_blob(self, data: bytes) -> str:
        made = self.run("hash-object", "-w", "--no-filters", "--stdin", stdin=data)
        return (made or b"").decode().strip()

    def _stage_file(
        self, path: str, blob: str, env: Mapping[str, str], at: Path | None = None
    ) -> None:
        entry = f"100644 {blob}\t{path}\n".encode()
        self.run("update-index", "--add", "--index-info", stdin=entry, env=env, at=at)

    def merge_texts(self, base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
        """Both changes of a text in one; None if they touch the same lines."""
        with tempfile.TemporaryDirectory(prefix="lar-merge-") as place:
            files = [Path(place, name) for name in ("ours", "base", "theirs")]
            for file, text in zip(files, (ours, base, theirs), strict=True):
                file.write_bytes(text)
            return self.run("merge-file", "-p", *map(str, files), fail=False)

    def make_commit(self, tree: str, parent: str, message: str) -> str:
        """A commit object that no ref reaches."""
        made = self.run("commit-tree", tree, "-p", parent, "-F", "-", stdin=message.encode())
        return (made or b"").decode().strip()

    def commit_patch(self, branch: str, patch: bytes, message: str, scratch: Path) -> str:
        """Put a patch on a new branch that begins at HEAD; the worktree is not touched.

        Raises:
            LedgerError: the branch is there, or the patch does not apply.
        """
        env, head = {"GIT_INDEX_FILE": str(scratch)}, self.run_text("rev-parse", "HEAD^{commit}")
        scratch.unlink(missing_ok=True)
        try:
            self.run("read-tree", head, env=env)
            self.run("apply", "--cached", "-", stdin=patch, env=env)
            tree = (self.run("write-tree", env=env) or b"").decode().strip()
        finally:
            scratch.unlink(missing_ok=True)
        commit = self.make_commit(tree, head, message)
        self.move_ref(f"refs/heads/{branch}", commit, old=None)
        return commit

    # -- refs and worktrees ----------------------------------------------------------------

    def move_ref(self, ref: str, commit: str, *, old: str | None) -> None:
        """Set a ref that now has the value `old` (None: that does not exist yet)."""
        was = old if old is not None else "0" * len(commit)
        self.run("update-ref", "--create-reflog", "-m", "lar", ref, commit, was)

    def add_worktree(self, path: Path, branch: str) -> None:
        """Check a branch out into a fresh directory, registered again if it was before."""
        self.run("worktree", "add", "-f", "-f", "--quiet", str(path), branch)

    def add_detached_worktree(self, path: Path, commit: str) -> None:
        """Check a commit out into a fresh directory that follows no branch."""
        self.run("worktree", "add", "-f", "-f", "--quiet", "--detach", str(path), commit)

    def remove_worktree(self, path: Path) -> None:
        """Remove a worktree with all its files; its branch stays."""
        self.run("worktree", "remove", "-f", "-f", str(path))

    def restage_file(self, worktree: Path, path: str, commit: str) -> None:
        """Make a worktree's index say what its branch says about one file.

        Works on a copy beside it and renames that into place: never blocked by, and never
        leaving, an `index.lock`.
        """
        place = find_git_dir(worktree)
        if place is None:
            return
        index, scratch = place / "index", place / "lar-index"
        for left in (scratch, place / "lar-index.lock"):
            left.unlink(missing_ok=True)
        env = {"GIT_INDEX_FILE": str(scratch)}
        if index.exists():
            scratch.write_bytes(index.read_bytes())
        else:
            self.run("read-tree", commit, env=env, at=worktree)
        self._stage_file(path, self.run_text("rev-parse", f"{commit}:{path}"), env, at=worktree)
        self.run("update-index", "-q", "--refresh", env=env, at=worktree, fail=False)
        scratch.replace(index)

    def unlock_ref(self, ref: str) -> bool:
        """Remove the lock that a killed git left on a ref.

        The caller holds `self.lock`, so no git of ours lives. In the reftable format one lock
        guards all refs, the user's too: it goes only if it is old.
        """
        if self.read_ref_format() == "reftable":
            common = self.run_text("rev-parse", "--path-format=absolute", "--git-common-dir")
            return remove_old_lock(Path(common, "reftable", "tables.list.lock"))
        file = Path(self.root, self.run_text("rev-parse", "--git-path", f"{ref}.lock"))
        there = file.exists()
        with contextlib.suppress(NotADirectoryError):  # a branch lies where its folder belongs
            file.unlink(missing_ok=True)
        return there

    def read_ref_format(self) -> str:
        """`files` or `reftable`; a git that does not know the question knows files only."""
        said = self.run("rev-parse", "--show-ref-format", fail=False) or b""
        return "reftable" if said.strip() == b"reftable" else "files"

    def repair_worktree(self, path: Path) -> None:
        """Join checkout and worktree again after either was moved or copied.

        In a copy the worktree points to the original, which git would change: so it is pointed to
        this repository first.
        """
        common = Path(self.run_text("rev-parse", "--path-format=absolute", "--git-common-dir"))
        if (ours := find_own_git_dir(path, common)) is not None:
            write_atomically(path / ".git", f"gitdir: {ours}\n".encode())
        self.run("worktree", "repair", str(path))


def parse_testimony(message: str) -> CommitNote | None:
    """What a commit message says of its ledger, by its last lines; None if it is not ours."""
    head = _find_trailer(message, HEAD_TRAILER)
    if head is None:
        return None
    return CommitNote(head, _find_trailer(message, CHECKOUT_TRAILER) or "")


def _find_trailer(message: str, name: str) -> str | None:
    lines = [line for line in message.splitlines() if line.startswith(f"{name}: ")]
    return lines[-1].split(": ", 1)[1].strip() if lines else None
