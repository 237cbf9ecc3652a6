# Two commands matter: `make demo` shows the tool at work, `make test` checks it.
# What `test` and `test-all` promise: tools/run_tests.py.
# Everything is kept in .venv/ and .lar/ of this checkout.

PYTHON = .venv/bin/python

.PHONY: help setup setup-dev extras demo test test-all check red aarch64 nehalem size clean

help:
	@echo "make demo    set up (once, a minute), then real trials on this machine, a minute or two"
	@echo "make test    set up, then what must pass before a commit (at most 10 minutes on two cores)"
	@echo "make test-all  every target and case in depth, the vendors' agents (half an hour or more)"
	@echo "make check   style, types, layers, fresh docs, size limits"
	@echo "make red     kernels that are wrong or slow on a part of the inputs: how many are kept?"
	@echo "make aarch64   do the champions have Lance's bits on AArch64? Emulated; asks before it installs"
	@echo "make nehalem   the same on x86-64 without AVX (YES=1 to both: install without asking)"
	@echo "make setup   Python packages, Lance's source, measuring program (once; then under a second)"
	@echo "make extras  packages for --agent acp:... and api, lar mcp, lar fleet"
	@echo "make size    lines per file and per function"
	@echo "make clean   remove builds and caches; campaigns and the ledger stay"

setup:
	@LAR_GOAL='$(MAKECMDGOALS)' sh tools/bootstrap.sh

setup-dev:
	@LAR_GOAL='$(MAKECMDGOALS)' sh tools/bootstrap.sh --dev

extras: setup
	@uv=$$(command -v .lar/uv/bin/uv || command -v uv || echo "$$HOME/.local/bin/uv"); \
	"$$uv" sync --frozen --inexact --quiet --extra acp --extra api --extra mcp --extra fleet

demo: setup
	@./lar demo

# Tests that measure time run alone, after the others have left the cores.
test: setup-dev
	@$(PYTHON) tools/run_tests.py

test-all: setup-dev
	@$(PYTHON) tools/run_tests.py --all

check: setup-dev
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo
	@$(PYTHON) tools/size.py --check
	@$(PYTHON) tools/docs.py --check

# ARGS="--n 170 --export" is a whole series, which takes hours; tools/red.py says more.
red: setup-dev
	@$(PYTHON) tools/red.py $(ARGS)

# Packages of the system are installed only if you agree to the lines that are shown.
aarch64 nehalem: setup-dev
	@$(PYTHON) tools/emulate.py $@ --record $(if $(YES),--yes)

size:
	@$(PYTHON) tools/size.py
	@$(PYTHON) tools/words.py | tail -1

clean:
	rm -rf .lar/cache .lar/extracts .lar/bin .lar/tmp .lar/stamps rust/target
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
