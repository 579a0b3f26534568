# Everything starts from a Python (3.11 or newer) and make; every other target sees to `setup` itself.
PYTHON ?= python3
UV ?= uv
ARGS ?=

BIN := .venv/bin
STAMP := .venv/.installed
BENCHMARKS := $(sort $(wildcard benchmarks/*.py))

.DEFAULT_GOAL := help
.PHONY: help setup demo simulate test test-chaos audit lint format bench bench-http fuzz soak image lock clean

help: ## Show the targets
	@sed -n 's/^\([a-z%-]*\):.*## /\1\t/p' Makefile

setup: $(STAMP) ## Make .venv with the locked packages and Crossdock itself

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Crossdock needs Python 3.11 or newer; name one: make setup PYTHON=python3.12")'
	@echo "Making .venv, in a minute or so."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $(STAMP)

demo: setup ## Run a network of real cities with shoppers who order (ARGS="--country FR")
	@$(BIN)/crossdock demo $(ARGS)

simulate: setup ## Pass 2,000 orders through their whole life and prove that all end well (ARGS="--orders 500")
	@$(BIN)/crossdock simulate $(ARGS)

test: setup ## Run the tests (ARGS="-k transaction")
	@$(BIN)/python -m pytest $(ARGS)

audit: setup ## Run the audit of GraphQL over HTTP, 61 checks (needs node and npm)
	@$(BIN)/python -m pytest tests/test_audit.py -n 0 -q -s -rs

test-chaos: setup ## Kill everything once while orders flow for a minute (CHAOS_SECONDS=60)
	@CHAOS_SECONDS=$${CHAOS_SECONDS:-60} $(BIN)/python -m pytest -n 0 -s tests/races/test_chaos.py

fuzz: setup ## Ask 2,000 made-up operations as each role (OPERATIONS=200 SEED=2 for fewer, others)
	@$(BIN)/python -m pytest tests/fuzz.py -n 0 -q -s

lint: setup ## Check style, types and the direction of imports
	@$(BIN)/python -m ruff check
	@$(BIN)/python -m ruff format --check
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports

format: setup ## Rewrite the sources in the project's style
	@$(BIN)/python -m ruff check --fix
	@$(BIN)/python -m ruff format

bench: setup ## Run every benchmark, one after the other
	@for benchmark in $(BENCHMARKS); do echo "== $$benchmark" && $(BIN)/python "$$benchmark" $(ARGS) || exit 1; done

bench-%: setup ## Run one benchmark: bench-placement (ARGS="--seconds 3")
	@$(BIN)/python "benchmarks/$*.py" $(ARGS)

soak: setup ## Watch the memory of 2,000 sockets, 20 of which never read (ARGS="--minutes 2")
	@PYTHONPATH=benchmarks $(BIN)/python -P benchmarks/realtime/soak.py $(ARGS)

bench-http: bench-gateway ## What an answer costs; the file is not called http.py, as Python has a module of that name

image: setup ## Try the Dockerfile's steps in an empty folder, where there is no container engine
	@$(BIN)/python .ci/image

lock: ## Resolve the dependencies anew into requirements.lock (needs uv; ARGS=--upgrade)
	@$(UV) pip compile pyproject.toml --quiet $(ARGS) --universal --python-version 3.11 --all-extras --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-annotate --no-header --output-file requirements.lock

clean: ## Remove what setup and the tools made
	rm -rf .venv tests/audit/node_modules examples/javascript/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
