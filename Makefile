# Entry points of gradwire; `make help` lists them. Everything is installed into .venv, nothing outside the folder.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest

.PHONY: help demo parity chaos soak test test-fast test-slow test-long lint format types generated api names typings wheel gpu-check bench clean
.DEFAULT_GOAL := help

help: ## Lists what make can do
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: $(VENV)/.installed-demo ## Trains examples/digits.py on two workers and shows the result
	@$(BIN)/gradwire train examples/digits.py --workers 2

test: $(VENV)/.installed-dev ## Installs what the tests need and runs them all (ARGS="-k name": only those, in one process)
ifdef ARGS
	$(PYTEST) $(ARGS)
else
	$(PYTEST) -m "not ray and not long" --numprocesses auto --dist worksteal
	$(PYTEST) -m "ray and not long"
endif

test-fast: $(VENV)/.installed-dev ## Runs the tests that take no Ray and no more than moments
	$(PYTEST) -m "not ray and not slow and not long" --numprocesses auto $(ARGS)

test-slow: $(VENV)/.installed-dev ## Runs the slow tests alone
	$(PYTEST) -m slow $(ARGS)

test-long: $(VENV)/.installed-dev ## Runs the tests that take from minutes to hours, which `make test` leaves out
	$(PYTEST) -m long --timeout 36000 --numprocesses auto $(ARGS)

chaos: $(VENV)/.installed-dev ## Runs jobs under random kill -9, SIGSTOP, resizes and restarts (ARGS="processes --minutes 30", "threads --seed 7")
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos $(ARGS)

soak: $(VENV)/.installed-dev ## Five minutes of jobs, watchers and kills on one service, then thousands of kills in submits and 50 restarts under 100 watchers
	$(PYTEST) -m long --timeout 36000 tests/services/faults/test_soak.py tests/services/faults/test_restarts_under_watchers.py \
	  tests/services/faults/test_kills_in_submit.py $(ARGS)

parity: $(VENV)/.installed-dev ## Runs whole programs under gradwire and PyTorch, prints their losses side by side (ARGS="vae --steps 200")
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.parity $(ARGS)

lint: $(VENV)/.installed-dev ## Checks style and imports
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

format: $(VENV)/.installed-dev ## Formats the code
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

types: $(VENV)/.installed-dev typings ## Checks types (mypy --strict)
	$(BIN)/python -m mypy

generated: ## Checks that the generated gRPC code is what the .proto files give
	proto/generate.sh --check

api: $(VENV)/.installed-dev ## Checks the form of the .proto files (buf), and that they break no client of the last commit on main
	PATH="$(CURDIR)/$(BIN):$$PATH" proto/check.sh

names: $(VENV)/.installed-dev ## Writes docs/names.md, the table of PyTorch's names
	$(BIN)/python docs/make_names.py

reference: $(VENV)/.installed-dev ## Writes docs/api.md, the reference of the API
	$(BIN)/python docs/make_api.py

typings: ## Brings the tree that editors and type checkers follow up to date
	typings/refresh.sh

wheel: $(VENV)/.installed-dev ## Builds the wheel and tries it in a clean venv, from another folder
	deploy/check-wheel.sh

gpu-check: $(VENV)/.installed-dev ## Runs the GPU tests here (needs an NVIDIA GPU and gradwire[cuda12] or [cuda13])
	$(PYTEST) tests/gpu -m gpu -rA $(ARGS)

bench: $(VENV)/.installed-dev ## Runs the benchmarks that compare gradwire with its peers
	for file in benchmarks/*/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean: ## Removes what make made
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "gradwire needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "could not make $(VENV); on Debian and Ubuntu: apt-get install python3-venv" >&2; rm -rf $(VENV); exit 2; }

$(VENV)/.installed-demo: $(BIN)/python pyproject.toml
	@echo "installing gradwire into $(VENV) (a minute or two the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml
	@echo "installing gradwire and what its tests need into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.installed-demo
