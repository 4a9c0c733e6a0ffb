# HealthyTwin: `make demo` and `make test` are all that a newcomer needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
HEALTHYTWIN_DATA ?= ../shared/data
BUNDLE := bundles/brain_flair_healthy_twin

.PHONY: help demo test lint bench train evaluate clean
help:  ## what there is to make
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*##/\t/'

# One environment, installed again only when what it should hold has changed.
$(VENV)/installed: pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ..."; exit 2; }
	@"$(PYTHON)" -m venv $(VENV) || { echo "On Debian: apt-get install python3-venv"; exit 2; }
	$(BIN)/pip install --quiet -c constraints.txt -e ".[dev]"
	@touch $@

demo: $(VENV)/installed  ## the main job on a made-up cohort, with a report
	$(BIN)/healthytwin demo

test: $(VENV)/installed  ## all tests
	$(BIN)/python -m pytest

lint: $(VENV)/installed  ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed  ## inference time against the bare network
	$(BIN)/python -m pipelines.bench

train: $(VENV)/installed  ## train the shipped bundle again (about an hour on 2 cores)
	$(BIN)/python -m monai.bundle run --config_file $(BUNDLE)/configs/train.yaml \
		--dataset_dir $(HEALTHYTWIN_DATA)/lgg-flair --output_dir $(BUNDLE)/models

evaluate: $(VENV)/installed  ## measure the shipped bundle on the LGG test split
	$(BIN)/healthytwin evaluate $(HEALTHYTWIN_DATA)/lgg-flair -o out/lgg-flair --bundle $(BUNDLE)

clean:  ## remove the environment and what was made
	rm -rf $(VENV) out healthytwin-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
