"""Every threshold of the decision, in one place. Documents are spliced from here.

Sources: e-value (mSPRT family) Robbins 1970 and Johari et al. 2017; the numbers were chosen
by simulation (`tests/rules/test_gate_simulation.py`) and confirmed by real A/A trials.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

MAX_KERNEL_BYTES = 1 << 20
"""Largest kernel text in bytes: admission refuses a longer one, and no more is read."""
MAX_NESTING = 256
"""Brackets that may be open at once in a kernel's text: twice rustc's own `recursion_limit`. At
some thousands rustc 1.95 ends with SIGSEGV on a stack of 8 MiB."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The thresholds of gate and confirmation. Fractions are natural-log ratios."""

    margin: float = 0.005
    """A gain up to this much is treated as nothing (the null hypothesis)."""
    min_pairs: int = 4
    """The gate decides nothing before this many valid pairs."""
    max_pairs: int = 40
    """Without proof by then: revert, `not proven`. If a pair's SD is 0.75 % (kernels that
    were made 14 times as fast), 24 pairs prove a gain of 1.5 % in 7 cases of 10."""
    e_threshold: float = 4000.0
    """Mean e-value for a keep-candidate; at least the number of planned trials."""
    futility_threshold: float = 5.0
    """E-value of `all` against 'gain >= margin' for an early revert."""
    mixture_variance: float = 4.0
    """g of the mixture in the e-value."""
    clip: float = 3.0
    """Each combo is clipped at its median +- clip x 1.4826 x MAD across pairs..."""
    clip_share: float = 0.125
    """...but at most this share of its values, or one: more are no outliers but a second state
    of the noise. Without it, processes that run at +2 % or -2 % by chance pass as proven gains
    in up to 28 of 100 null trials of one combo; with it, in at most 1 of 1,000, and in 4 of 100
    if the champion has no such states, whose session then cannot know them."""
    sd_floor: float = 0.5
    """The SD of a component is at least this share of its SD in the session's A/A."""
    sd_least: float = 1e-4
    """...and at least this: no machine repeats itself better; with a coarse clock it seems to."""
    stop_level: float = 0.99
    """Level of the intervals that hold at any stopping time (shown, and the screening guard)."""
    screen_guard: float = 0.03
    """Screening reverts if the lower bound of one combo's slowdown exceeds this."""
    guard_low: float = 0.01
    """Confirmation reverts if a combo's lower bound of slowdown exceeds this..."""
    guard_high: float = 0.05
    """...or its upper bound reaches this."""
    guard_level: float = 0.99
    """Family-wise confidence of the guard."""
    guard_again_level: float = 0.995
    """The same for the second look. If the only doubt is a combo whose slowdown is possible, but
    not significant, confirmation runs as many pairs again, once. Both looks together miss a combo
    that became 5 % slower in at most 1.5 of 100 cases."""
    confirm_pairs: int = 16
    confirm_level: float = 0.99
    """Two-sided level of the claim's interval at confirmation."""
    slow_floor: float = 0.0
    """The claim's interval must lie above this also if no process in which the candidate was
    slow is clipped. All of 155 recorded keeps do; of kernels that are slow in 15 % of their
    processes and no faster on average, it stops seven of eight that passed the rest."""
    others_floor: float = -0.02
    """At confirmation the geo and every other op may not be lower than this (lower end). At
    -1 % an op of three combos whose code had not changed failed five kernels of five: 16
    layouts leave its interval 1 to 2.5 % wide on either side."""
    long_block_pairs: int = 4
    """Pairs with long blocks (turbo licences, warm-up)."""
    long_block_rounds: int = 4
    long_block_slack: float = 0.01
    """They fail it only if lower by more than max(this, `long_block_errors` standard errors...)."""
    long_block_share: float = 0.5
    """...and this share of the gain itself: long blocks walk the whole pool, so a large gain may
    honestly be smaller in colder caches (a table build: +85 % in slices, +59 % in long blocks);
    what must not happen is that most of it exists in short bursts only."""
    long_block_errors: float = 6.0
    """The standard error is that of the difference, and mostly that of four pairs: an honest
    gain exceeds three of them in up to 3 of 100 cases (t with 3 degrees of freedom), six in 0.5."""
    distinct_pairs: int = 24
    """Pairs at confirmation in which no process meets an input twice."""
    distinct_rounds: int = 2
    """Rounds of such a pair, one call a slice; calibration needs one more call of the pool."""
    distinct_share: float = 0.25
    """Rejected if the upper bound of the gain on such inputs is below this share of the claim..."""
    distinct_slack: float = 0.05
    """...and more than this below the claim: code and heap of a new process are cold."""
    distinct_combo_slack: float = 0.35
    """The same for each combo, which is one call in a cold process: in three recorded keeps the
    gain of a combo moved by up to 0.29 there. At 0.25, 2.3 of 100 simulated honest keeps of 2 to
    5 % were refused (tests/simulate_defences.py)."""
    defence_level: float = 0.99
    """The defences' bounds hold at this level for all combos together (Bonferroni). 0: combos are
    not judged one by one, as before 2026-11-30."""
    opponent_pairs: int = 8
    """Pairs at confirmation: the champion behind the candidate and behind another layout."""
    opponent_slack: float = 0.01
    """Rejected if the lower bound of the champion's slowdown in these pairs exceeds this..."""
    opponent_share: float = 0.1
    """...and this share of the claim. Another program in front costs the champion up to 1 % without
    a cheat. Half of it counts, since in half of the rounds the champion is first..."""
    opponent_level: float = 0.99
    """...at this one-sided level."""
    opponent_combo_slack: float = 0.03
    """The same for each combo, at `defence_level`."""
    totals_slow_ratio: float = 2.0
    """Distinct inputs: a call looks slow if the candidate takes this many times as long..."""
    totals_slow_ns: float = 1000.0
    """...and this much longer. Of a group the same on average: a call alone in its slice is cold,
    and the code of one side may be larger."""
    totals_slack: float = 0.03
    """The total time of an op, with single slow calls counted as `totals_slow_ratio`, looks slow if
    the upper bound of its gain lies below minus this..."""
    totals_group_slack: float = 0.10
    """...and that of a family or of a size class below minus this..."""
    totals_group_least: int = 20
    """...if it has this many inputs."""
    totals_level: float = 0.99
    """Level of these bounds, for all groups together (Bonferroni)."""
    totals_repeats: int = 2
    """What looks slow is measured again in this many other pairs; slow in all: the kernel..."""
    totals_most_repeats: int = 5
    """...or in up to this many, if the champion is so often slow by chance, ..."""
    totals_false: float = 0.001
    """...that more than this number of calls would be slow in all pairs by chance."""
    tier_pairs: int = 8
    """Pairs at confirmation at each lower CPU tier for which a kernel has code..."""
    tier_most_pairs: int = 32
    """...and at most, if..."""
    tier_width: float = 0.025
    """...the interval of an op is wider than this on either side: a two-stage plan (Stein 1945)
    whose second stage uses the spread of the first alone, never its mean."""
    store_bytes_per_ns: float = 512.0
    """Rejected if a call takes less time than writing its outputs at this speed: 64 bytes a cycle
    at 8 GHz, more than any core stores."""
    max_void: int = 2
    max_void_share: float = 0.10
    """More void pairs than max(max_void, share): inconclusive."""
    max_slow_arms: int = 2
    """Rejected if more pairs than this, beyond the champion's, are void because the candidate's
    process was slow to get ready: it works before the clock starts."""
    session_pairs: int = 16
    """Pairs of a noise session: the champion against its own copy."""
    rounds: int = 20
    slice_us: float = 50.0
    planned_sd: float = 0.0075
    """The numbers of pairs are planned for this SD of a pair, all combos. If the session's A/A is
    noisier, a trial may take `max_pairs` and confirmation takes `confirm_pairs` times the ratio
    of the variances..."""
    most_times: float = 2.0
    """...at most this factor: a trial must end."""

    def adapt_to_trials(self, trials: int) -> Policy:
        """The policy of a campaign of `trials` trials: the threshold is at least their number."""
        return replace(self, e_threshold=max(self.e_threshold, float(trials)))

    def adapt_to_noise(self, sd: float) -> Policy:
        """The policy of a session in which a pair spreads by `sd`, all combos, in its A/A.

        It is known before a trial's first pair, so no number of pairs depends on their values.
        """
        times = min(max(1.0, (sd / self.planned_sd) ** 2), self.most_times)
        most, confirm = round(times * self.max_pairs), round(times * self.confirm_pairs)
        return replace(self, max_pairs=most, confirm_pairs=confirm)


@dataclass(frozen=True, slots=True)
class DrawPlan:
    """How many secret cases are drawn from the spaces of a target, and how large they are."""

    small_cases: int = 12
    """Of an op, in every trial of an epoch; all borders of integer widths that fit are among
    them."""
    small_mib: float = 4.0
    """Inputs and outputs of these cases of an op together."""
    full_cases: int = 400
    """Of an op, before a keep, drawn for it alone: all borders are among them. A region of 1 % of
    the space is missed in 2 of 100 draws, one of 3 % in 5 of 1,000,000."""
    full_mib: float = 256.0
    """Inputs and outputs of these cases of all ops together."""
    ahead: int = 2
    """Full draws that an epoch keeps ready."""


@dataclass(frozen=True, slots=True)
class TotalsPlan:
    """The distinct inputs over which total times are measured before a keep."""

    inputs: int = 1000
    """Of an op, each timed once on both sides: a kernel that is slow on one call in 200 meets
    none with probability 0.7 %."""
    near: int = 300
    """Of these near the timed combos; the others are drawn from the op's space..."""
    drawn_mib: float = 96.0
    """...and their inputs and outputs, of all ops together, are at most this large."""
    tries: int = 3
    """Pairs over all inputs, until one is not void."""


@dataclass(frozen=True, slots=True)
class BuildLimits:
    """The resources of one kernel's whole build; a kernel that needs more is rejected."""

    cpu_seconds: float = 20.0
    """CPU of all compilers and linkers together. Champions need 2 to 4 s."""
    wall_seconds: float = 120.0
    """A step that takes longer with CPU to spare was kept from its core: inconclusive."""
    trusted_seconds: float = 300.0
    """CPU of the same build for a kernel that was kept before, and for Lance's own."""
    memory_bytes: int = 8 << 30
    """Address space of each process."""
    file_bytes: int = 256 << 20
    """Size of any file that a build writes."""


BUILD_LIMITS = BuildLimits()
DRAWS = DrawPlan()
TOTALS = TotalsPlan()
DEFAULT = Policy()


@dataclass(frozen=True, slots=True)
class MeasuringLimits:
    """Every number by which the measuring programs decide that a pair does not count or that a
    kernel is at fault, and how much one slice may use.

    They are no part of `Policy`: each applies once, while a pair is measured, and the pair records
    the result. A judgement of recorded pairs never needs them. The conductor receives them with
    `open`; Rust has no defaults of its own.
    """

    # What a kernel may use.
    heap_mb: int = 512
    """A kernel that needs more heap is at fault (`memory`)."""
    arena_mb: int = 64
    """Memory for all that a contract prepares for one slice; a contract that needs more panics."""
    stack_mb: int = 2
    """A kernel that needs more stack is at fault (`stack`). Lance runs kernels on threads of Tokio
    and of std, whose stacks are 2 MiB by default, and sets no other size."""
    call_ms: int = 2000
    """A slice that takes longer is a `timeout`."""
    load_ms: int = 5000
    """A library that takes longer than `call_ms` plus this to load is a `timeout`."""
    stall_share: float = 0.01
    """A gap between two looks of the conductor that is longer than this share of `call_ms` is the
    conductor's own (it was stopped), and is not counted against the kernel."""
    starved_ms: int = 500
    """A late worker was kept from its core, and is not at fault, if it waited in the run queue for
    longer than this and ran for less."""
    spawner_ms: int = 10_000
    """The process that starts workers must answer within this, or the command fails."""

    # When a pair is void.
    foreign_share: float = 0.5
    """Other processes used more than this share of the measuring core."""
    suspend_ms: float = 50.0
    """The machine was suspended for longer than this while the pair ran."""
    clock_drift_share: float = 0.01
    """The conductor's counter and the system's clock differ by more than this share of the pair's
    time..."""
    clock_drift_us: float = 1000.0
    """...and this."""
    arm_ratio: float = 1.5
    """One side's median time from *arm* to *ready* is more than this many times the other's, plus
    `arm_margin_us`: it may be working before *go*. In A/A pairs they differ by a few percent."""
    arm_margin_us: float = 3.0
    combo_arm_ratio: float = 2.5
    """The same for the slices of one combo, where an honest kernel that is 14 times as fast took up
    to 1.76 times as long: its caches are what the slower side left."""
    combo_arm_rounds: int = 8
    """Pairs of fewer rounds are not judged combo by combo: their medians are too uncertain."""

    # Where outputs are looked at beside the comparison after every slice.
    early_lines: int = 4
    """Random output lines that must be untouched before *go*; else the kernel is at fault
    (`arm`)."""
    late_lines: int = 64
    """Random output lines copied at *done*; one that changes later is a `late_write`."""
    late_us: float = 1.0
    """A *done* that may have been seen later than this is counted in `overhead`, no more."""

    # What one slice may hold.
    empty_slices: int = 15
    """Empty slices a side; their median is subtracted from every time."""
    max_calls: int = 8192
    """Calls of a slice."""
    max_output_mb: int = 64
    """Output memory of a slice."""
    block_window_mb: int = 4
    """What a slice of a long block may touch, if the combo declares less: a block warms its
    caches in any case."""
    max_slice_us: float = 3000.0
    """A slice of the slower side."""
    max_block_slice_us: float = 1000.0
    """A slice of a long block."""
    max_block_slices: int = 1000
    """Slices of a long block."""
    calls_jitter: float = 0.1
    """The calibrated number of calls is reduced by a random share up to this, so that it tells a
    kernel nothing."""

    # What one worker of a check may hold.
    check_calls: int = 16
    """Calls of a slice."""
    check_mappings: int = 12_000
    """Inputs, each with a mapping of its own; a worker may have 65,530."""
    check_input_mb: int = 512
    check_output_mb: int = 64


LIMITS = MeasuringLimits()


@dataclass(frozen=True, slots=True)
class QueryPolicy:
    """How whole queries in a patched Lance are measured and judged. A pair is two processes."""

    min_pairs: int = 8
    """Nothing is decided before this many valid pairs..."""
    max_pairs: int = 24
    """...and no more are run; then a class whose interval is too wide is `not resolved`."""
    level: float = 0.95
    """Of the intervals, for all classes together and at any stopping time."""
    resolution: float = 0.015
    """An interval around 0 that reaches no further than this on either side means `no change`."""
    neutral: float = 0.01
    """The hook is not believed if Lance's own code behind it differs from its place by more than
    this, and significantly."""
    control_seconds: float = 3600.0
    """A control is reused for this long, on the same boot, program, datasets and classes."""
    rounds: int = 6
    """Double rounds of a pair and class: the same queries on A and B, then on B and A..."""
    block_ms: float = 12.0
    """...as many as take this long."""
    most_queries: int = 64
    """Queries of a block."""
    quiet_looks: int = 6
    """After a void pair, wait for a quiet core for at most this many half seconds."""
    warm_queries: int = 16
    """Queries of each class before the first block."""
    main_seconds: float = 60.0
    """The main class of a target takes no longer than this, controls apart..."""
    all_seconds: float = 300.0
    """...and all its classes no longer than this."""
    process_seconds: float = 180.0
    """Wall clock and processor time of one process."""
    reply_seconds: float = 60.0
    """One reply."""
    memory_bytes: int = 24 << 30
    """Address space of a process; a runtime reserves much that it does not use."""
    disk_bytes: int = 10 << 30
    """What sources, build and datasets take."""
    build_minutes: float = 50.0
    """What a cold build takes on two cores."""


QUERIES = QueryPolicy()
