# Everything starts from here: `make demo` and `make test` do their own set-up.
#
#   make demo PYTHON=python3.12       another interpreter
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
#
# On Linux PyPI's torch brings several GB of CUDA libraries. Where there is no NVIDIA GPU, TORCH_INDEX takes torch alone
# from an index with builds for the CPU; everything else still comes from the ordinary index.

PYTHON ?= python3
TORCH_INDEX ?=

BIN := .venv/bin
STAMP := .venv/installed

.DEFAULT_GOAL := help
.PHONY: install demo demo-real test lint types format clean help

install: $(STAMP)  ## make .venv and install the pinned packages and selfedit in it

# Installs again when the packages asked for have changed.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(if $(TORCH_INDEX),$(BIN)/pip install --index-url $(TORCH_INDEX) --no-deps -c constraints.txt torch)
	$(BIN)/pip install -c constraints.txt -e '.[dev]'
	touch $@

demo: install  ## the whole loop on the embedded model
	$(BIN)/selfedit demo

demo-real: install  ## a real chat model learns a page of real text: fetches 93 MB, then takes some minutes
	$(BIN)/selfedit fetch smollm2
	$(BIN)/selfedit adapt examples/selfedit.md --questions examples/selfedit_questions.json --model smollm2

# One thread per worker: two workers share two cores.
test: install  ## the tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

lint: install  ## the style, without changing anything
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install  ## the types
	$(BIN)/mypy

format: install  ## put the style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove caches and builds; .venv and runs stay
	rm -rf build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile
