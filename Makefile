# Every habit of this project as one command. `make` lists them.
PORT ?= 8080
DATA_DIR ?= .data
PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=
LAB_ARGS ?=
RUNS ?= 300
SEED ?=
PART ?=
NEW ?=
TIMES ?= 10
LOAD ?= 4
WORKERS ?= 4
BIN := .venv/bin
PYTEST = $(BIN)/pytest -n $(WORKERS) --dist loadgroup
export PYTHON
# Without kept bytecode each process compiles the platform anew, and each worker all tests: 8 s of CPU a worker, 0.3 s a command.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run down image image-control-plane wheel try-wheel test test-again test-fast test-all test-under-load simulate pool-table mutants lint format messages lock gateway-config client checkov ministack bench bench-claim bench-starts bench-control-plane bench-creates bench-pool bench-edge bench-jupyterhub bench-aws bench-cli bench-interruption bench-migration bench-lists bench-console demo lab screenshots clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-20s %s\n", $$1, $$2}'

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

image-control-plane: setup ## Build the image of the control plane for AWS (image/control-plane.Dockerfile)
	@scripts/control-plane-image.sh

wheel: setup-dev ## Build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

try-wheel: setup-dev ## Install the wheel elsewhere, and start the platform with it
	scripts/try-wheel.sh

test: setup-dev ## Run the tests, with a real OpenClaw and a real browser
	@scripts/setup.sh --browser
	$(PYTEST) -m "not long" $(PYTEST_ARGS)

test-again: setup-dev ## Run again, one by one, what failed in the last run, if that was at most ten tests
	$(BIN)/python -m scripts.second_chance $(PYTEST_ARGS)

test-fast: setup-dev ## Run what needs neither Docker, nor a browser, nor OpenClaw, while working on the code
	$(PYTEST) -m "not long and not slow and not openclaw and not browser and not docker" $(PYTEST_ARGS)

test-all: setup-dev ## Run the tests, the long ones included, or one part of them (PART=2/4)
	@scripts/setup.sh --browser
	$(PYTEST) $(if $(PART),--part $(PART)) $(PYTEST_ARGS)

test-under-load: setup-dev ## Run the tests several times beside busy loops (TIMES=10 LOAD=4), and say which runs failed
	@scripts/setup.sh --browser
	scripts/under-load.sh $(TIMES) $(LOAD) $(PYTEST) -q -m "not long" $(PYTEST_ARGS)

simulate: setup-dev ## Run through hundreds of bad days (RUNS=300), or one again (SEED=17); docs/simulation.md
	$(BIN)/python -m simulation $(if $(SEED),--seed $(SEED),--seeds $(RUNS))

pool-table: setup-dev ## Compare N+2 with the adaptive pool for 10 to 1,000,000 users, into docs/pool.md; some minutes
	$(BIN)/python -m simulation.spares_table

mutants: setup-dev ## Break the code in some sixty ways, and see that each is noticed
	$(BIN)/python -m simulation.mutants

lint: setup-dev ## Check format, style, types, the arrows between layers, and shell scripts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check --output-format concise .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if command -v shellcheck >/dev/null; then shellcheck scripts/*.sh .ci/run src/openclaw_hosted/adapters/aws/machine/*.sh lab/plane/*.sh terraform/control-plane.sh terraform/machine-image/install.sh; else echo 'shellcheck is missing: shell scripts are not checked (apt-get install shellcheck)'; fi

checkov: ## Install the checker of terraform/ that `make test-all` asks, into .cache/checkov
	python3 -m venv .cache/checkov
	.cache/checkov/bin/pip install --quiet --disable-pip-version-check checkov==3.3.30

ministack: ## Install the emulator that `make test-all` holds the lab against, into .cache/ministack
	python3 -m venv .cache/ministack
	.cache/ministack/bin/pip install --quiet --disable-pip-version-check ministack==1.5.33

format: setup-dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

gateway-config: setup-dev ## Write terraform/gateway-config.json anew, after a change of what gateways start with
	$(BIN)/python scripts/gateway_config.py

client: setup-dev ## Write the Python client anew, after a change of the API
	PYTHONPATH=. $(BIN)/python scripts/client.py

messages: setup-dev ## Gather the texts of users' pages into src/openclaw_hosted/web/languages (NEW=fr for another language)
	PYTHONPATH=. $(BIN)/python scripts/messages.py $(NEW)

lock: ## Write the lock files anew (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --generate-hashes -o requirements-dev.lock
	uv pip compile pyproject.toml --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --generate-hashes -o requirements.lock -c requirements-dev.lock

bench: bench-claim bench-starts bench-control-plane bench-creates bench-pool bench-edge bench-jupyterhub bench-aws bench-cli bench-interruption bench-migration bench-lists bench-console ## Measure everything; half an hour

bench-claim: setup-dev ## Measure from POST to an answer, hot spare against cold start
	$(BIN)/python -m bench.claim

bench-starts: setup-dev ## Measure a start without a spare, alone and while others start
	$(BIN)/python -m bench.starts $(BENCH_ARGS)

bench-control-plane: setup-dev ## Measure what the control plane costs while nothing happens
	$(BIN)/python -m bench.control_plane $(BENCH_ARGS)

bench-creates: setup-dev ## Measure how many creates are accepted, on SQLite and on Postgres
	$(BIN)/python -m bench.creates $(BENCH_ARGS)

bench-pool: setup-dev ## Measure the pool loop over 10,000 machines
	$(BIN)/python -m bench.pool $(BENCH_ARGS)

bench-edge: setup-dev ## Measure the edge beside configurable-http-proxy (needs wrk)
	$(BIN)/python -m bench.edge $(BENCH_ARGS)

bench-jupyterhub: setup-dev ## Measure from asking to reaching, beside JupyterHub
	$(BIN)/python -m bench.jupyterhub $(BENCH_ARGS)

bench-aws: setup-dev ## Measure creates on AWS in the fast lab, and 200 users over three load balancers
	$(BIN)/python -m bench.aws $(BENCH_ARGS)

bench-interruption: setup-dev ## Measure for how long nothing answers when a machine is taken away
	$(BIN)/python -m bench.interruption $(BENCH_ARGS)

bench-migration: setup-dev ## Measure for how long users of an old ECS system wait while they are moved
	$(BIN)/python -m bench.migration $(BENCH_ARGS)

bench-lists: setup-dev ## Measure a page of a list with 10,000 instances, on SQLite and on Postgres
	$(BIN)/python -m bench.lists $(BENCH_ARGS)

bench-console: setup-dev ## Measure the operator's console with 10,000 instances and 90 days of history
	$(BIN)/python -m bench.console $(BENCH_ARGS)

bench-cli: setup-dev ## Measure what commands of the command line cost
	$(BIN)/python -m bench.cli $(BENCH_ARGS)

demo: setup-dev ## Show a platform that has lived for a simulated month, with two incidents (PORT=8090 DATA_DIR=.demo)
	@exec $(BIN)/python -m demo --port $(if $(filter 8080,$(PORT)),8090,$(PORT)) --data-dir "$(if $(filter .data,$(DATA_DIR)),.demo,$(DATA_DIR))"

lab: setup-dev ## Start an AWS on this computer with the platform on top (LAB_ARGS="--plain" for stand-ins; see --help)
	@scripts/setup.sh --lab
	@exec $(BIN)/python -m lab $(LAB_ARGS)

screenshots: setup-dev ## Take a picture of every page into docs/images
	@scripts/setup.sh --browser
	PYTHONPATH=. $(BIN)/python scripts/screenshots.py

clean: ## Remove what tools left behind; .data stays
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist test-results
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
