# make train   trains MT10 with the mean on a small budget; ARGS="experiment=mt10_cagrad seed=3" for other runs
# make check   lint, and the tests that changes since SINCE=HEAD can affect: within 90 seconds
# make test    runs the tests; make test-slow also those that take minutes, and measures coverage
# make lint    ruff and mypy
# make warp    builds .venv-warp, where worlds are simulated on the GPU; see docs/simulation.md
# make gpu-check  tests and measures it on a GPU, for MINUTES=8
PYTHON ?= python3
ARGS ?= experiment=quick_mt10
SINCE ?= HEAD
MINUTES ?= 8
BIN := .venv/bin
# Two processes; a process without work takes half of what the other has left.
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal
BUDGET := 480 # seconds of make test on two cores; about that on a fresh clone

.PHONY: install train check test test-slow lint gpu-check warp

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	touch $@

train: install
	MTRL_STARTED_BY='make train' $(BIN)/python scripts/train.py $(ARGS)

check: lint
	$(PYTEST) -m "not slow" --enough 60 $$($(BIN)/python scripts/affected_tests.py --since $(SINCE))

test: install
	$(PYTEST) -m "not slow" --durations 10 --budget $$(( $(BUDGET) * 3 / 2 ))

test-slow: install
	$(PYTEST) --cov --cov-report=term:skip-covered

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

gpu-check:
	$(PYTHON) scripts/gpu_check.py --minutes $(MINUTES)

warp: .venv-warp/.installed

# MuJoCo Warp needs a newer MuJoCo than the one that Meta-World pins: both cannot be resolved together.
.venv-warp/.installed: pyproject.toml constraints.txt
	test -x .venv-warp/bin/python || $(PYTHON) -m venv .venv-warp
	.venv-warp/bin/python -m pip install -q -c constraints.txt -e '.[dev,warp]'
	.venv-warp/bin/python -m pip install -q --no-deps mujoco==3.5.0 mujoco-warp==3.5.0.2
	touch $@
