# Everything anybody does with this project. Each target sets up what it needs; `make help` lists them.

VENV := .venv
PY := $(VENV)/bin/python
PYTEST_ARGS ?=

# Dozens of processes are started here; what Python compiled for one of them serves the next.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo up test check lock package simulate bench-sweep bench-webhook bench-storage fuzz-pictures \
	format clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.installed node_modules/.installed ## make the virtual environment, install Azurite

demo: setup ## watch photos travel from Exchange to SharePoint (PHOTO=me.jpg: yours among them)
	@$(PY) -m local.demo $(if $(PHOTO),--photo "$(PHOTO)")

up: setup ## the same, staying up: the app, the tenant and storage, to play with
	@$(PY) -m local.up

test: setup ## every test, offline, on loopback
	@$(PY) -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: setup ## index the app as the host does; what is deployed, format, lint, types
	@$(PY) -m local.host --check --settings local.settings.sample.json
	@$(PY) -m local.package check
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy

lock: setup ## compile requirements.in into requirements.txt (LOCK_ARGS=--upgrade: to the newest versions)
	@$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-emit-index-url \
		--output-file requirements.txt requirements.in $(LOCK_ARGS)

package: setup ## the zip that can be deployed and its bill of materials, in out/
	@$(PY) -m local.package build

bench-sweep: setup ## sweep 100 000 unchanged users; a benchmark of several minutes, not a test
	@$(PY) -m local.bench.sweep $(BENCH_ARGS)

fuzz-pictures: setup ## render damaged pictures for MINUTES=10 (default), keep in out/ what fails
	@$(PY) -m tests.unit.pictures.fuzzed $(or $(MINUTES),10)

bench-webhook: setup ## 50 POSTs of 100 notifications a second; a benchmark of a minute or two, not a test
	@$(PY) -m local.bench.webhook $(BENCH_ARGS)

bench-storage: setup ## count the storage operations of users, notifications and idle queues; some six minutes
	@$(PY) -m local.bench.storage $(BENCH_ARGS)

simulate: setup ## search for a schedule that breaks the promise: SEEDS=20000, or SEED=176 to explain one
	@$(PY) -m tests.simulation --seeds $(or $(SEEDS),500) $(if $(SEED),--seed $(SEED)) $(SIMULATE_ARGS)

format: setup ## rewrite the code the way `make check` wants it
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

clean: ## forget everything that setup made
	rm -rf $(VENV) node_modules out .pytest_cache .mypy_cache .ruff_cache

# Python 3.13, because that is what the app runs on in Azure, and what Microsoft's worker library needs.
# Two steps: pip wants a hash for each package in one step, or for none; the second step keeps what the first installed.
$(VENV)/.installed: requirements.txt requirements-dev.txt
	@if python3.13 -c 'pass' 2>/dev/null; then python3.13 -m venv $(VENV); \
	elif command -v uv >/dev/null; then uv venv --quiet --seed --python 3.13 $(VENV); \
	else echo 'Python 3.13 is needed: install it (python.org), or install uv (docs.astral.sh/uv).'; exit 1; fi
	@echo 'Installing the Python packages...'
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Azurite, the storage account's stand-in, exactly as the lock file says.
node_modules/.installed: package.json package-lock.json
	@if ! command -v npm >/dev/null; then echo 'Node.js 20 or newer is needed (nodejs.org).'; exit 1; fi
	@echo 'Installing Azurite...'
	@npm ci --silent --no-audit --no-fund
	@touch $@
