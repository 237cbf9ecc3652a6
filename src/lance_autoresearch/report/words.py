"""What the short names in a trial's record mean, for the reader of a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PHASES: Final[Mapping[str, str]] = {
    "setup": "Lance's source, the measuring program, Lance's own library",
    "build": "the kernel is compiled and linked",
    "admit": "its text is read for what is not allowed",
    "audit": "its object code is searched for what is not allowed",
    "check": "every case once, compared with Lance to the bit",
    "session": "the champion against its own copy: how noisy is the machine today",
    "compare": "first measurement: kernel against champion, in pairs of processes",
    "fresh": "new secret inputs are drawn and Lance's answers computed",
    "confirm": "second measurement, on new inputs and code layouts",
    "long": "the same in long blocks of one side",
    "distinct": "pairs of processes that meet no input twice",
    "draw": "secret cases and distinct inputs that were not made ahead",
    "drawn": "secret cases, compared with Lance to the bit",
    "totals": "a thousand distinct inputs of each op, and the slow ones again",
    "opponent": "does the champion run slower behind this kernel?",
    "tiers": "the same on processors with fewer vector instructions",
    "dose": "a delay of known size is injected, to test the measurement itself",
    "lock": "waiting for another measurement or build on this machine",
    "waited": "waiting until other programs leave the core alone",
    "measuring": "pairs of processes run",
}
DIGESTS: Final[Mapping[str, str]] = {
    "ruleset": "the code that decides",
    "instrument": "the code that builds and measures",
    "target": "the target's own files",
    "fixtures": "generators of inputs",
    "upstream": "the functions taken from Lance",
    "flags": "compiler flags",
    "policy": "all thresholds",
    "inputs": "what the inputs depend on",
    "all": "over all of these",
}
