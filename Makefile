# Every target sets up .venv by itself; nothing is installed outside this folder.
#
#   make demo        the main job on embedded data, offline: a picture and a table in runs/demo
#   make test        all tests but the slow ones
#   make test-slow   the slow ones
#   make check       formatting, lint, types, import layers, file sizes; types of the page where npm is installed
#   make bench       every comparison in bench/
#   make docs        writes docs/cli.md from the commands' own help, docs/studies.md from results/, and the site (site/)
#   make clean       removes caches and builds; .venv and runs/ stay

PYTHON ?= python3
TORCH  := torch==2.13.0
BIN    := .venv/bin
# As many test processes as this; each keeps to one thread, so that they don't fight over the cores.
JOBS   ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow check check-page bench docs clean format

help:
	@sed -n 's/^#   //p' Makefile

# torch comes first and is named again beside the rest: so no later requirement can swap it for a CUDA build.
.venv/.runtime: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "vitrail needs Python 3.11 or newer, and $(PYTHON) is older: make PYTHON=python3.12" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet $(TORCH) --editable .
	@touch $@

# timm, for the parity tests only, comes without its dependencies: they would bring torchvision and CUDA.
.venv/.dev: .venv/.runtime
	$(BIN)/python -m pip install --quiet $(TORCH) --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps 'timm>=1.0'
	@touch $@

demo: .venv/.runtime
	$(BIN)/vitrail demo

test: .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) -m 'not slow'

test-slow: .venv/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) -m slow --timeout 1800

check: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/architecture
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory check-page; \
		else echo "The page's types aren't checked: npm is missing (apt-get install npm)."; fi

# The viewer's modules run as they are written; TypeScript only reads the types in their comments.
check-page: node_modules/.package-lock.json
	node_modules/.bin/tsc --noEmit

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --silent
	@touch $@

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.dev
	@for file in $$(grep -l __main__ bench/*.py); do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

docs: .venv/.dev
	$(BIN)/python -m vitrail.cli.docs
	$(BIN)/python -m vitrail.cli.docs_studies
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "open site/index.html"

clean:
	rm -rf build dist site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests bench docs -name __pycache__ -type d -prune -exec rm -rf {} +
