# Needs Python 3.11 or newer; makes the rest itself. PYTHON=… chooses another interpreter than python3.

PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help environment up test check faults soak bench pictures lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

environment: ## Make .venv and the frontend, or bring them up to date
	@$(PYTHON) tools/environment.py

up: environment ## Run everything on this machine, with a demonstration
	@$(BIN)/dispatcher up --demo

# Four on two processors: most of them wait for Kafka or a browser.
test: environment ## Run the tests, on a real Kafka
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

check: environment ## Lint, types, drift of generated files
	@$(BIN)/python -m tools.check

faults: environment ## Kill and hang everything, and show what that costs
	@$(BIN)/python -m pytest tests/faults -m "faults_full or not faults_full"

soak: environment ## An hour of mixed targets: is anything lost, twice, or growing? MINUTES=1 for a short one
	@$(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),60)

bench: environment ## Speed, latency, isolation, memory, scaling: about a quarter of an hour; ARGS=--tenth for a look
	@$(BIN)/python -m benchmarks --json benchmarks/results.json --report $(ARGS)

pictures: environment ## Take the pictures in docs/images, of a demonstration in a Chromium
	@$(BIN)/python -m tools.pictures

lock: environment ## Choose the newest versions that pyproject.toml allows, and write the requirements files
	@$(BIN)/python -m tools.lock

clean: ## Remove the environment, caches and everything that `up` stored
	@rm -rf .venv .data .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist \
		frontend/node_modules dispatcher/portal/pages/static/built
