# Everything here sets itself up: Python 3.11 or later, pip and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SLIM := .venv-demo
PIP := -m pip --disable-pip-version-check

.PHONY: help demo test test-fast lint readme bench clean

help:
	@echo "make demo       read the expressions on a photograph, with the plain install"
	@echo "make test       every test, linter and type check"
	@echo "make test-fast  the tests that take seconds"
	@echo "make lint       ruff, mypy, and whether README, docs and gallery agree with the ledger"
	@echo "make readme     write the tables of README and docs, and the gallery, from the ledger"
	@echo "make bench      how fast the networks are here"

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) install --quiet --constraint constraints.txt torch
	$(BIN)/python $(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

$(SLIM)/ready: pyproject.toml
	$(PYTHON) -m venv $(SLIM)
	$(SLIM)/bin/python $(PIP) install --quiet --editable . scikit-image
	touch $@

demo: $(SLIM)/ready
	$(SLIM)/bin/python examples/demo.py

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2

test-fast: $(VENV)/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 -m "not slow"

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/readme_tables.py --check
	$(BIN)/python tools/gallery.py --check

readme: $(VENV)/ready
	$(BIN)/python tools/readme_tables.py
	$(BIN)/python tools/gallery.py

bench: $(VENV)/ready
	$(BIN)/mien bench

clean:
	rm -rf $(VENV) $(SLIM) demo dist build
