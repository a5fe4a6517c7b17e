PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: lint format
lint:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check --output-format concise .
	$(BIN)/mypy
	$(BIN)/lint-imports

format:
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
