# Everything a developer or CI runs. `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(VENV)/.uv/bin/uv
STAMP := $(VENV)/.ready
EXIT ?=
PORT ?= 3000
# Empty: the demo's state lies in the example project.
DEMO_HOME ?=

.PHONY: help setup demo test unit check format lint types imports docs bench e2e clean

help: ## List the targets
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(STAMP) ## Bring everything that is needed into .venv (needs only Python 3.11 and pip)

$(UV):
	$(PYTHON) -m venv $(VENV)/.uv
	$(VENV)/.uv/bin/pip install --quiet --disable-pip-version-check uv

$(STAMP): $(UV) pyproject.toml uv.lock
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	$(UV) sync --quiet --frozen --all-extras
	@touch $(STAMP)

demo: setup ## Let a year of real flights go through the loop (EXIT=1: end with the summary)
	$(if $(DEMO_HOME),RATOON_HOME=$(DEMO_HOME)) RATOON_WEBSERVER_PORT=$(PORT) $(BIN)/ratoon demo $(if $(EXIT),--exit)

test: setup ## Pass the tests
	$(BIN)/pytest $(ARGS)

unit: setup ## Only the unit tests: seconds, no server
	$(BIN)/pytest tests/unit tests/architecture $(ARGS)

check: format lint types imports test docs ## Format, lint, types, import rules, tests, docs: what CI runs

format: setup
	$(BIN)/ruff format --check .

lint: setup
	$(BIN)/ruff check .
	$(BIN)/yamllint --strict examples infra .pre-commit-config.yaml

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports --no-cache

docs: setup
	$(BIN)/pytest tests/examples $(ARGS)
	$(BIN)/towncrier build --draft --version next >/dev/null

bench: setup ## The benchmarks, as ratios; writes docs/reference/benchmarks.md
	$(BIN)/python -m tests.benchmarks.run

clean: ## Delete the environment and the demo's state
	rm -rf $(VENV) examples/flights/.ratoon .mypy_cache .ruff_cache .pytest_cache
