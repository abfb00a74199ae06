# make train   trains MT10 with CAGrad on a small budget; ARGS="experiment=mt10_cagrad seed=3" for other runs
# make test    runs the tests; make test-slow also those that take minutes
# make lint    ruff and mypy
PYTHON ?= python3
ARGS ?= experiment=quick_mt10
BIN := .venv/bin

.PHONY: install train test test-slow lint

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	touch $@

train: install
	$(BIN)/python scripts/train.py $(ARGS)

test: install
	$(BIN)/python -m pytest -m "not slow" -n 2 --cov --cov-report=term:skip-covered

test-slow: install
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

gpu-check:
	$(PYTHON) scripts/gpu_check.py $(ARGS)
