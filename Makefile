# Two commands: `make run` (LAKE=folder of photos; without it, sample photos; PORT=) and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LAKE ?=
QUERY ?= a cat
PORT ?= 8377
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The folders of photos inside two installed packages, found without importing them.
SAMPLES := $(BIN)/python -c "from importlib.util import find_spec; from pathlib import Path; \
  print(*[Path(find_spec(m).origin).parent / d for m, d in (('skimage', 'data'), ('sklearn', 'datasets/images'))])"

.PHONY: run test check bench clean

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

test: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --constraint constraints.txt --editable '.[samples]'
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.run

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache sample.lake
