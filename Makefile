# Everything a developer does here, by name. `make help` lists it.

PYTHON ?= python3
# Another package index to take torch from, such as one with CPU builds only. Empty: pip's own choice.
TORCH_INDEX ?=
# How many processes share the tests: more than a small machine has cores, as many wait for processes of their own.
# A file stays in one of them, so that what its tests share is made once; tiny models need no second thread.
TEST_PROCESSES ?= 3

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
PINNED := pyproject.toml constraints.txt
TRAIN_STAMP := $(VENV)/.installed-train
SERVE_STAMP := $(VENV)/.installed-serve
DEV_STAMP := $(VENV)/.installed-dev
BENCH := .bench
BENCH_STAMP := $(BENCH)/.installed

# Spinning OpenMP threads fight over the cores with whatever else runs; passive ones do not.
export OMP_WAIT_POLICY := PASSIVE

.DEFAULT_GOAL := help
.PHONY: help install demo serve test slow chaos lint format docs bench constraints migration new-format new-layout new-family new-modality clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 18

install: $(DEV_STAMP)  ## make .venv with everything for work on tunesmith

demo: $(TRAIN_STAMP)  ## fine-tune a real language model for two minutes and show what it learned
	$(BIN)/tunesmith demo

serve: $(SERVE_STAMP)  ## answer every API on http://127.0.0.1:8000 (ARGS="--port 8001" hands arguments to the server)
	$(BIN)/tunesmith serve $(ARGS)

test: $(DEV_STAMP)  ## run the tests (ARGS="tests/data -x" hands arguments to pytest)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(ARGS)

slow: $(DEV_STAMP)  ## run what `make test` shows on one database on the other one too, and what takes long
	$(BIN)/python -m pytest -m slow $(ARGS)

chaos: $(DEV_STAMP)  ## run the suites that kill processes and fill disks, and long runs (minutes)
	$(BIN)/python -m pytest -m chaos $(ARGS)

lint: $(DEV_STAMP)  ## check style, types, imports and the house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.check

format: $(DEV_STAMP)  ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DEV_STAMP)  ## write docs/reference/ from the code
	$(BIN)/python -m scripts.reference

bench: $(TRAIN_STAMP) $(BENCH_STAMP)  ## measure training speed beside TRL (about half an hour)
	$(BIN)/python benchmarks/training_speed.py $(ARGS)

constraints: $(DEV_STAMP)  ## pin what .venv holds now in constraints.txt
	{ grep '^#' constraints.txt; $(PIP) freeze --all --exclude-editable \
	    | grep -vE '^(#|pip==|triton==|nvidia-.*-cu[0-9]+==)' | sed 's/+[^=]*$$//' | sort -f; } > constraints.tmp
	mv constraints.tmp constraints.txt

migration: $(DEV_STAMP)  ## write the next change of the database's tables: make migration NAME="what changes"
	$(BIN)/python -m scripts.migration "$(NAME)"

new-format: $(DEV_STAMP)  ## start a data set format: make new-format NAME=foo
	$(BIN)/python -m scripts.new format "$(NAME)"

new-layout: $(DEV_STAMP)  ## start a layout of folders: make new-layout NAME=foo FORMAT=boxes
	$(BIN)/python -m scripts.new layout "$(NAME)" $(FORMAT)

new-family: $(DEV_STAMP)  ## start a model family: make new-family NAME=foo MODALITY=vision
	$(BIN)/python -m scripts.new family "$(NAME)" $(MODALITY)

new-modality: $(DEV_STAMP)  ## start a modality: make new-modality NAME=foo
	$(BIN)/python -m scripts.new modality "$(NAME)"

clean:  ## remove the environments and every cache
	rm -rf $(VENV) $(BENCH) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name '*.egg-info' -type d -prune -exec rm -rf {} +

# --- set-up: a stamp file says what an environment holds; nothing runs while it is newer than what it depends on --------

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "tunesmith needs Python 3.11 or newer. Name one: make PYTHON=python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	    || { rm -rf $(VENV); echo "$(PYTHON) cannot make environments. Install its venv module, then try again."; exit 1; }

# torch comes first: what is installed after it then finds it there and takes no other build.
$(TRAIN_STAMP): $(PINNED) | $(VENV)/bin/python
	@echo "Installing into $(VENV): about a minute from a warm cache, several over a slow line."
	@$(PIP) install --quiet $(if $(TORCH_INDEX),--extra-index-url "$(TORCH_INDEX)") \
	    -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	@$(PIP) install --quiet -c constraints.txt -e '.[train]'
	@touch $@

$(SERVE_STAMP): $(PINNED) $(TRAIN_STAMP)
	@$(PIP) install --quiet -c constraints.txt -e '.[train,serve,postgres]'
	@touch $@

$(DEV_STAMP): $(PINNED) $(TRAIN_STAMP)
	@$(PIP) install --quiet -c constraints.txt -e '.[train,dev]'
	@touch $@

# What benchmarks measure beside us, in an environment of its own, on the same torch and transformers.
$(BENCH_STAMP): benchmarks/peers.txt constraints.txt
	@echo "Installing the peers into $(BENCH)."
	@test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip --disable-pip-version-check --no-input install --quiet \
	    $(if $(TORCH_INDEX),--extra-index-url "$(TORCH_INDEX)") -c constraints.txt -r benchmarks/peers.txt
	@touch $@
