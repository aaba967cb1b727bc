# make demo    the main job end to end, on a volume made here or on IMAGE=... ANNOTATION=...
# make test    lint, types and every test suite that this machine can run
# make help    the rest
#
# Needs Python 3.10 or newer and make; everything else goes into $(VENV).

SHELL := /bin/sh
VENV ?= .venv
# The system's python3 where Slicer's engine has wheels for it (3.10 to 3.13), else one beside it, else any.
PYTHON ?= $(shell for python in python3 python3.12 python3.11 python3.13 python3.10; do \
	"$$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo "$$python" && exit; done; echo python3)
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO ?= demo
IMAGE ?=
ANNOTATION ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format bench screenshots icon clean

help:
	@echo "make demo          run the main job end to end; IMAGE=scan.nii.gz ANNOTATION=slices.nii.gz for your own"
	@echo "make test          lint, types and all tests (SUITES='core gui' for some of them)"
	@echo "make bench         accuracy and cost against the peers, printed as tables"
	@echo "make lint          ruff and mypy;  make format  lets ruff mend what it can"
	@echo "make screenshots   render the panels into Resources/Screenshots"
	@echo "make clean         remove $(VENV) and what make wrote, but not the benchmark results kept in bench"

setup: $(READY)

$(READY): pyproject.toml constraints.txt Testing/set_up_environment.py
	@$(PYTHON) Testing/set_up_environment.py $(VENV)
	@touch $@

demo: $(READY)
	@$(BIN)/pgt demo --force --output "$(DEMO)" $(if $(IMAGE),--image "$(IMAGE)") $(if $(ANNOTATION),--annotation "$(ANNOTATION)")

test: $(READY)
	@$(BIN)/python Testing/run_suites.py $(SUITES)

lint: $(READY)
	@$(BIN)/python Testing/run_suites.py lint types

format: $(READY)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(READY)
	@PYTHONPATH=Testing $(BIN)/python -m Benchmarks $(BENCH)

screenshots: $(READY)
	@PGT_SCREENSHOTS="$(CURDIR)/Resources/Screenshots" $(BIN)/python Testing/run_suites.py gui

icon: $(READY)
	@$(BIN)/python Resources/make_icon.py

clean:
	rm -rf $(VENV) $(DEMO) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find PGTToolkit Testing Resources -name __pycache__ -type d -prune -exec rm -rf {} +
