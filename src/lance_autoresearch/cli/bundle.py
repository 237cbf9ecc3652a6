"""`lar bundle`: a pull request with its evidence, in a folder."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lance_autoresearch.host import checkout

if TYPE_CHECKING:
    from lance_autoresearch.bundle.folder import Bundle

NOT_READY = 1
"""Exit code of a refusal and of a draft."""


def bundle(
    target: str,
    *,
    draft: bool = False,
    review: bool = False,
    lance: Path | None = None,
    newer: Path | None = None,
    out: Path | None = None,
    unchecked: bool = False,
    person: str = "",
    json: bool = False,
) -> int:
    """Make a pull request with its evidence; a person sends it, or not.

    Patches the published crates with the champion, runs the checks that Lance's repository runs,
    and writes patch, tables, text, logs and a replay that needs nothing of this project. While
    anything is unsettled it refuses; --draft writes the folder all the same, marked as a draft.
    A later call goes on where one was killed. Nothing is ever sent.

    Exit code: 0 complete, 1 refused or a draft.

    Args:
        target: name of the target.
        draft: write a marked draft although something is unsettled.
        review: print what a sceptical maintainer would ask, and where the answer stands.
        lance: put the change on a branch `lar/TARGET` of this checkout of Lance's repository.
        newer: also check that the patch goes into another release: a folder of unpacked crates.
        out: write there; default .lar/bundle/TARGET.
        unchecked: do not run the checks that are not done: they are missing.
        person: who takes responsibility for the change; stands in its text.
        json: print one object.
    """
    from lance_autoresearch.bundle.blockers import list_blockers
    from lance_autoresearch.bundle.folder import check_newer, estimate_minutes, make_bundle
    from lance_autoresearch.integrate.splice import load_splice

    root = checkout.find_root()
    splice = load_splice(root, target)
    settled = list_blockers(root, target, ())
    if settled and not draft and not review:
        _print_refusal(target, [(str(b.kind), b.what, b.next) for b in settled], json)
        return NOT_READY
    if newer is not None:
        check_newer(root, target, newer)
    checks = not (unchecked or review)
    if checks:
        _say(f"the checks take about {estimate_minutes(splice)} minutes on two idle cores")
    made = make_bundle(root, target, _say, out=out, checks=checks, person=person)
    if made.blockers and not draft and not review:
        _print_refusal(target, [(str(b.kind), b.what, b.next) for b in made.blockers], json)
        return NOT_READY
    if lance is not None:
        _say(f"branch lar/{target} is at {_make_branch(lance, target, made)[:12]}")
    _print_bundle(made, review, json)
    return NOT_READY if made.draft else 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _make_branch(lance: Path, target: str, made: Bundle) -> str:
    from lance_autoresearch.bundle.parts import MARK
    from lance_autoresearch.host.git import Git

    text = (made.folder / "pull-request.md").read_text(encoding="utf-8")
    message = f"{MARK}: {text}" if made.draft else text
    patch = (made.folder / "patch" / "repository.patch").read_bytes()
    return Git(lance).commit_patch(f"lar/{target}", patch, message, made.folder / "index")


def _print_refusal(target: str, rows: list[tuple[str, str, str]], json: bool) -> None:
    if json:
        blockers = [{"kind": kind, "what": what, "next": following}
                    for kind, what, following in rows]  # fmt: skip
        print(json_module.dumps({"v": 1, "refused": True, "blockers": blockers}))
        return
    print(f"refused: {target} is not settled")
    for kind, what, following in rows:
        print(f"  {kind}: {what}\n    next: {following}")
    print(f"a marked draft all the same: ./lar bundle {target} --draft")


def _print_bundle(made: Bundle, review: bool, json: bool) -> None:
    from lance_autoresearch.bundle.parts import answer_questions

    answers = answer_questions(made.parts)
    if json:
        print(json_module.dumps({
            "v": 1, "refused": False, "draft": made.draft,
            "blockers": [{"kind": b.kind, "what": b.what, "next": b.next} for b in made.blockers],
            "parts": [{"number": p.number, "name": p.name, "files": p.files, "missing": p.missing}
                      for p in made.parts],
            "review": [{"question": q.text, "answer": answer} for q, answer in answers],
        }))  # fmt: skip
        return
    if review:
        print("\n".join(f"{question.text}\n    {answer}" for question, answer in answers))
        return
    for part in made.parts:
        state = "; ".join(part.missing) or "whole"
        print(f"{part.number} {part.name}: {state}")
    print(f"{'DRAFT, do not send' if made.draft else 'complete'}: {made.folder}")
