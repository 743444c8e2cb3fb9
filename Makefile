# make demo | make test | make setup | make lint | make test-ci | make test-all | make clean
# Another interpreter: PYTHON=python3.12 make setup.  Another torch build: TORCH_INDEX=<index URL> make setup.
PYTHON ?= python3
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

.PHONY: setup demo test test-ci test-all lint format clean

setup:
	@PYTHON="$(PYTHON)" TORCH_INDEX="$(TORCH_INDEX)" VENV="$(VENV)" sh scripts/setup.sh

demo: setup
	@$(BIN)/python -m driftune.cli.demo

test: setup
	@$(PYTEST) -m "not slow"

# What CI runs beside `make test`: kills, deployments and servers that take minutes.
test-ci: setup
	@$(PYTEST) -m ci

test-all: setup
	@$(PYTEST)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf workspace .pytest_cache .mypy_cache .ruff_cache .hypothesis
