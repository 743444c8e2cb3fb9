# make demo | make test | make setup | make lint | make docs | make clean
# make test-ci | make test-kernels | make test-all | make lock | make sbom | make audit
# Another interpreter: PYTHON=python3.12 make setup.  Another torch build: TORCH_INDEX=<index URL> make setup.
PYTHON ?= python3
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
# Byte code is kept: without it each worker compiles all tests, 12 s.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

.PHONY: setup demo test test-ci test-all test-kernels lint format docs lock sbom audit clean

setup:
	@PYTHON="$(PYTHON)" TORCH_INDEX="$(TORCH_INDEX)" VENV="$(VENV)" sh scripts/setup.sh

demo: setup
	@$(BIN)/python -m driftune.cli.demo

test: setup
	@$(PYTEST) -m "not slow"

# What is too slow for `make test`, where a faster test shows the same: see CONTRIBUTING.md.
test-ci: setup
	@$(PYTEST) -m ci

test-all: setup
	@$(PYTEST)

# Tests under kernels that other processors would choose: "default" are the oldest ones, the others
# avx2 and native.  All of make test: make test-kernels KERNELS="native avx2 default" TESTS="not slow"
KERNELS ?= default
TESTS ?= trains and (not slow or ci)
test-kernels: setup
	@for kernels in $(KERNELS); do \
	    case $$kernels in \
	        default) set -- ATEN_CPU_CAPABILITY=default MKL_CBWR=COMPATIBLE DNNL_MAX_CPU_ISA=SSE41 ;; \
	        avx2) set -- ATEN_CPU_CAPABILITY=avx2 MKL_CBWR=AVX2 DNNL_MAX_CPU_ISA=AVX2 ;; \
	        native) set -- ;; \
	        *) echo "test-kernels: $$kernels: native, avx2 or default" >&2; exit 1 ;; \
	    esac; \
	    echo "kernels: $$kernels"; \
	    env "$$@" $(PYTEST) -m "$(TESTS)" || exit 1; \
	done

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup
	@NO_MKDOCS_2_WARNING=1 PYTHONPATH=src $(BIN)/mkdocs build --strict --quiet
	@echo site/index.html

# Newer versions of packages, where pyproject.toml allows: make lock UPGRADE="NAME NAME".
UPGRADE ?=
lock: setup
	@$(BIN)/python scripts/lock.py lock >$(VENV)/.driftune-lock
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps \
	    --target $(VENV)/lock --upgrade --requirement $(VENV)/.driftune-lock
	@$(BIN)/python scripts/make_lock.py --uv $(VENV)/lock/bin/uv --upgrade $(UPGRADE)
	@$(BIN)/python scripts/licences.py

# The bill of materials of what is installed. Checking it against its schema takes a minute.
sbom: setup
	@mkdir -p dist
	@$(BIN)/python -m cyclonedx_py environment --output-format JSON --output-reproducible --no-validate \
	    --pyproject pyproject.toml --output-file dist/sbom.json $(BIN)/python
	@echo dist/sbom.json

audit: setup
	@$(BIN)/python scripts/audit.py

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf workspace site .pytest_cache .mypy_cache .ruff_cache .hypothesis
