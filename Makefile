# Every habit of this project as one command. `make` lists them.
PORT ?= 8080
DATA_DIR ?= .data
PYTHON ?= python3
PYTEST_ARGS ?=
BIN := .venv/bin
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run down image test test-all lint format lock bench bench-claim screenshots clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup:
	@scripts/setup.sh

setup-dev:
	@scripts/setup.sh --dev

run: setup ## Start the whole platform on this computer (PORT=8080 DATA_DIR=.data)
	@exec $(BIN)/openclaw-hosted up --port $(PORT) --data-dir "$(DATA_DIR)"

down: setup ## Stop everything of DATA_DIR, gateways included; data is kept
	@$(BIN)/openclaw-hosted down --data-dir "$(DATA_DIR)"

image: setup ## Build the image that Docker machines run (image/Dockerfile)
	@$(BIN)/openclaw-hosted image --data-dir "$(DATA_DIR)"

test: setup-dev ## Run the tests, with a real OpenClaw and a real browser
	@scripts/setup.sh --browser
	$(BIN)/pytest -m "not long" $(PYTEST_ARGS)

test-all: setup-dev ## Run the tests, the long ones included
	@scripts/setup.sh --browser
	$(BIN)/pytest $(PYTEST_ARGS)

lint: setup-dev ## Check format, style, types, the arrows between layers, and shell scripts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check --output-format concise .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if command -v shellcheck >/dev/null; then shellcheck scripts/*.sh .ci/run; else echo 'shellcheck is missing: shell scripts are not checked (apt-get install shellcheck)'; fi

format: setup-dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## Write the lock files anew (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --generate-hashes -o requirements-dev.lock
	uv pip compile pyproject.toml --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --generate-hashes -o requirements.lock -c requirements-dev.lock

bench: bench-claim ## Measure

bench-claim: setup-dev ## Measure from POST to an answer, hot spare against cold start
	$(BIN)/python -m bench.claim

screenshots: setup-dev ## Take a picture of every page into docs/images
	@scripts/setup.sh --browser
	PYTHONPATH=. $(BIN)/python scripts/screenshots.py

clean: ## Remove what tools left behind; .data stays
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist test-results
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
