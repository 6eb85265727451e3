# One word for everything: `make serve` on a machine with Python >= 3.11 and make, and nothing else.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
HOST ?= 127.0.0.1
PORT ?= 8000
JOBS ?= 2
ARGS ?=

BIN := .venv/bin
# Bytecode is compiled once here: without it every start would compile torch and its friends again.
UV := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	--python-version 3.11 --custom-compile-command 'make lock' $(UPGRADE)
# Quick checks beside the linters; `make test` has the rest.
QUICK := tests/test_contracts.py tests/test_project.py tests/test_readme.py tests/test_instruction.py

.DEFAULT_GOAL := help
.PHONY: help install serve test check train evaluate bench lock

help: ## What can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

install: .venv/installed ## Make .venv and install everything that runs

serve: .venv/installed ## Serve the model and the web page on http://localhost:8000 (HOST=, PORT=)
	$(BIN)/gpt4video serve --host $(HOST) --port $(PORT) $(ARGS)

test: .venv/installed-dev ## Run the tests that need neither minutes nor a GPU (JOBS=, ARGS=)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile $(ARGS)

check: .venv/installed-dev ## Everything quick: format, lint, types, import contracts, quick tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q $(QUICK)

train: .venv/installed ## Train the embedded model; ARGS=--resume goes on where it was stopped
	$(BIN)/gpt4video train --config configs/shapes.yaml $(ARGS)

evaluate: .venv/installed ## Measure the embedded model on the test part; writes runs/quality.json
	mkdir -p runs
	$(BIN)/gpt4video evaluate --config configs/shapes.yaml --json runs/quality.json $(ARGS)

bench: .venv/installed-dev ## Measure how fast the server is on this machine
	$(BIN)/python benchmarks/speed.py $(ARGS)

lock: $(BIN)/uv ## Write the lock files anew from pyproject.toml (UPGRADE=--upgrade for newer versions)
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) pyproject.toml --extra test --extra plots --extra check -c requirements.lock -o requirements-dev.lock
	$(COMPILE) pyproject.toml --extra postgres --extra s3 --extra tracing -c requirements-dev.lock -o requirements-server.lock
	$(COMPILE) --group build -c requirements-dev.lock -o requirements-build.lock

# Stamps: made again only when what they name has changed. `venv` on a finished folder changes nothing.
$(BIN)/uv: requirements-build.lock
	@test -n "$(PYTHON)" || { echo "gpt4video needs Python 3.11 or newer, and there is none on the PATH." \
		"Install one from https://www.python.org/downloads/, or say where it is: make PYTHON=/path/to/python3" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "gpt4video needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "$(PYTHON) cannot make a virtual environment." \
		"On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock
	@touch $@

.venv/installed: pyproject.toml requirements.lock $(BIN)/uv
	@echo "Installing into .venv; the first time this brings torch, which is large."
	$(UV) --require-hashes -r requirements.lock
	$(UV) --no-deps --no-build-isolation -e .
	@touch $@

.venv/installed-dev: requirements-dev.lock .venv/installed
	$(UV) --require-hashes -r requirements-dev.lock
	@touch $@
