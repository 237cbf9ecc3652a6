"""lance-autoresearch: honest overnight optimisation of Lance's Rust kernels.

One trial, read from top to bottom, is `trial.run_trial`; what a kernel is, how Lance calls
it and what "equal" means is a `target.Target`; the rule that keeps or reverts is `gate.gate`.
"""

__version__ = "0.1.0"
