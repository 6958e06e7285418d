# `make run` (LAKE=folder of photos; without it, sample photos; PORT=), `make check` while you work, `make test` before you
# are done; `make docs`, `make pictures`, `make bench`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LAKE ?=
QUERY ?= a cat
PORT ?= 8377
PYTEST_FLAGS ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The folders of photos inside two installed packages, found without importing them.
SAMPLES := $(BIN)/python -c "from importlib.util import find_spec; from pathlib import Path; \
  print(*[Path(find_spec(m).origin).parent / d for m, d in (('skimage', 'data'), ('sklearn', 'datasets/images'))])"

# Where the shell forbids it, each of thousands of processes would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run lint check test docs pictures bench wheel audit clean

run: $(VENV)/.run
ifeq ($(LAKE),)
	@echo "indexing the sample photos of scikit-image and scikit-learn (for your own: make run LAKE=path)"
	@$(BIN)/lakesift index $$($(SAMPLES)) --into sample.lake
	$(BIN)/lakesift search sample.lake "$(QUERY)" -k 5
	$(BIN)/lakesift serve sample.lake --port $(PORT)
else
	$(BIN)/lakesift index "$(LAKE)" --into "$(notdir $(abspath $(LAKE))).lake"
	$(BIN)/lakesift search "$(notdir $(abspath $(LAKE))).lake" "$(QUERY)" -k 5
	$(BIN)/lakesift serve "$(notdir $(abspath $(LAKE))).lake" --port $(PORT)
endif

# What needs no test to be run.
lint: $(VENV)/.test node_modules/.done
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy --num-workers 2
	$(BIN)/node node_modules/typescript/bin/tsc -p .
	$(BIN)/node node_modules/oxlint/bin/oxlint --deny-warnings service/page

# While you work: under three minutes on two cores.
check: lint
	$(BIN)/python -m pytest -m quick -n 2 --dist loadfile

# Everything. The tests build the docs, too, and fail on a broken link. PYTEST_FLAGS='-n 2' for two processes.
test: lint
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

# The pages as a site: docs/site/index.html. A warning, as of a broken link, is an error.
docs: $(VENV)/.test
	$(BIN)/python -m sphinx -b html -W --keep-going -q docs docs/site

# The pictures of README and docs; look at them before they are committed.
pictures: $(VENV)/.test
	$(BIN)/python docs/pictures.py
	$(BIN)/python docs/labels.py

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks

# dist/: the wheel and the sources, the same bytes whoever builds them (tests/test_packaging.py).
wheel: $(VENV)/.test
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	$(BIN)/python -c "from hatchling.build import build_sdist; build_sdist('dist')"

# Asks the public lists of known holes, so it needs the network: about the versions that the tests run with, then about the
# oldest that pyproject.toml allows. What a list does not know fails, too.
audit: $(VENV)/.test
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip --disable-pip-version-check --quiet install pip-audit
	build/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt
	$(BIN)/python -m tests.floors > build/audit/floors.txt
	build/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement build/audit/floors.txt

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --constraint constraints.txt --editable '.[samples]'
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/bin/python
	# Of its 28,000 modules few are ever imported; those are compiled then.
	$(PIP) install --no-compile --constraint constraints.txt --editable '.[dev]'
	# Its client is asked to speak to the service; what it needs itself would be gigabytes.
	$(PIP) install --no-compile --no-deps --upgrade --target $(VENV)/others clip-retrieval==2.45.0
	@touch $@ $(VENV)/.run

# What checks the page's modules. Exactly what package-lock.json names; no package runs anything.
node_modules/.done: package.json package-lock.json .npmrc | $(VENV)/.test
	$(BIN)/npm ci --silent
	@touch $@

clean:
	rm -rf $(VENV) node_modules build dist docs/site *.egg-info .mypy_cache .ruff_cache .pytest_cache sample.lake
