# HealthyTwin: `make demo` and `make test` are all that a newcomer needs.

VENV := .venv
BIN := $(VENV)/bin
LABEL := .venv-label
PACKAGES := 'import sysconfig; print(sysconfig.get_path("purelib"))'
HEALTHYTWIN_DATA ?= ../shared/data
BUNDLE := bundles/brain_flair_healthy_twin

# The first Python that runs and is new enough; `make PYTHON=/path/to/python3.11 ...` chooses another.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$python && break; done)

.PHONY: help demo test lint docs schema dist fresh lowest label label-test bench fuzz fuzz-headers soak attack train evaluate leaderboards families gallery looks viewer clean

help:  ## what there is to make
	@grep -E '^[a-z-]+:.*##' Makefile | awk -F ':.*## +' '{ printf "make %-13s %s\n", $$1, $$2 }'

# One environment, filled again only when what it should hold has changed.
$(VENV)/installed: pyproject.toml constraints.txt
	@"$(PYTHON)" -c '$(NEW_ENOUGH)' 2>/dev/null || { \
		echo "HealthyTwin needs Python 3.11 or newer, found: $(if $(PYTHON),$(PYTHON),none)." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3.11 demo" >&2; exit 2; }
	@"$(PYTHON)" -m venv $(VENV) || { \
		echo "No virtual environment could be made. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	$(BIN)/python -m pip install -c constraints.txt -e ".[dev]"
	@$(BIN)/python -m pipelines.report.viewer >/dev/null 2>&1 || \
		echo "Reports will have no viewer: NiiVue could not be taken from npm. \`make viewer\` tries again."
	@touch $@

# Another one on top of it: what MONAI Label brings must not come near the packages that we pin.
$(LABEL)/installed: $(VENV)/installed pipelines/label/requirements.txt
	$(BIN)/python -m venv $(LABEL)
	echo "import site; site.addsitedir('$$($(BIN)/python -c $(PACKAGES))')" >$$($(LABEL)/bin/python -c $(PACKAGES))/project.pth
	echo "$(CURDIR)/pipelines/label/compat" >$$($(LABEL)/bin/python -c $(PACKAGES))/compat.pth
	$(LABEL)/bin/python -m pip install -c constraints.txt -r pipelines/label/requirements.txt
	$(LABEL)/bin/python -m pip install --no-deps monailabel==0.8.5 -e .
	@touch $@

demo: $(VENV)/installed  ## the main job on a cohort made on the spot, with a report
	$(BIN)/healthytwin demo

test: $(VENV)/installed  ## all tests
	$(BIN)/python -m pytest

lint: $(VENV)/installed  ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/documented  ## the documentation as a site in out/site; a broken link is an error
	$(BIN)/python -m mkdocs build --strict

$(VENV)/documented: $(VENV)/installed
	$(BIN)/python -m pip install -c constraints.txt -e ".[docs]"
	@touch $@

schema: $(VENV)/installed  ## the published JSON Schema of a finding
	$(BIN)/python -c 'import json; from anomaly import Finding; print(json.dumps(Finding.model_json_schema(), indent=2))' \
		> docs/reference/finding.schema.json

dist: viewer  ## wheel and sdist in dist/, from a clean checkout
	rm -rf build dist
	$(BIN)/python -c 'from setuptools import build_meta as b; b.build_wheel("dist"); b.build_sdist("dist")'

fresh: dist  ## the wheel in an empty environment and an empty folder: doctor, then the demo
	rm -rf out/fresh && mkdir -p out/fresh
	"$(PYTHON)" -m venv out/fresh/venv
	out/fresh/venv/bin/python -m pip install -c constraints.txt dist/*.whl
	cd out/fresh && venv/bin/healthytwin doctor && venv/bin/healthytwin demo

# PyPI's torch for Linux brings CUDA along; LOWEST_CONSTRAINTS names a file that holds a package at another version, such as
# `torch==2.13.0+cpu` from a folder of wheels that UV_FIND_LINKS names.
lowest:  ## the tests with the lowest versions that pyproject.toml allows, not those of constraints.txt; warnings there are not ours to mend
	rm -rf out/lowest && mkdir -p out/lowest
	"$(PYTHON)" -m venv out/lowest/venv
	out/lowest/venv/bin/python -m pip install uv
	out/lowest/venv/bin/uv pip compile --resolution lowest-direct --extra dev pyproject.toml \
		$(if $(LOWEST_CONSTRAINTS),--constraint $(LOWEST_CONSTRAINTS)) -o out/lowest/pins.txt
	out/lowest/venv/bin/uv pip install --python out/lowest/venv -r out/lowest/pins.txt -e .
	out/lowest/venv/bin/python -m pytest -o filterwarnings=ignore \
		--deselect tests/test_project.py::test_constraints_pin_everything_that_is_installed_for_the_tests

label: $(LABEL)/installed  ## an environment with MONAI Label, .venv-label, for `healthytwin label`

label-test: $(LABEL)/installed  ## the MONAI Label app against its real server; warnings there are not ours to mend
	PATH="$(CURDIR)/$(LABEL)/bin:$$PATH" $(LABEL)/bin/python -m pytest tests/label -o filterwarnings=ignore

bench: $(VENV)/installed  ## inference, scanning and reading against bare libraries, AnoGAN's search, `reprocess` against its parts, memory, voxel AP
	$(BIN)/python -m pipelines.figures.inference
	$(BIN)/python -m pipelines.figures.scanning
	$(BIN)/python -m pipelines.figures.reading
	$(BIN)/python -m pipelines.figures.large_volume
	$(BIN)/python -m pipelines.figures.voxels
	$(BIN)/python -m pipelines.figures.search "$(HEALTHYTWIN_DATA)/lgg-flair/images/TCGA_CS_6668_20011025.nii.gz"
	$(BIN)/python -m pipelines.figures.rerun
	$(BIN)/python -m pipelines.figures.reprocess "$(HEALTHYTWIN_DATA)/lgg-flair/images"

fuzz: $(VENV)/installed  ## 20,000 damaged inputs through the reader: none may crash, hang, swell or raise anything else
	$(BIN)/python -m tests.fuzz

fuzz-headers: $(VENV)/installed  ## every element of real headers removed, emptied, made illegal, through SEG, SR and capture
	$(BIN)/python -m tests.fuzz.wrapping

soak: $(VENV)/installed  ## 2,000 studies through `reprocess` under 1,000 kills: none lost, done twice or in part, each SEG once in Orthanc
	$(BIN)/python -m tests.soak

attack: $(VENV)/installed  ## hostile peers on loopback: a crowd around an honest sender for ten minutes, and an evil DICOMweb service
	HEALTHYTWIN_ATTACK_SECONDS=600 $(BIN)/python -m pytest -m attack tests/attack -s

train: $(VENV)/installed  ## train and calibrate the shipped bundle again, in place
	$(BIN)/python -m monai.bundle run --config_file $(BUNDLE)/configs/train.yaml \
		--dataset_dir "$(HEALTHYTWIN_DATA)/lgg-flair" --output_dir $(BUNDLE)/models

evaluate: $(VENV)/installed  ## measure the shipped bundle on the LGG test split
	$(BIN)/healthytwin evaluate "$(HEALTHYTWIN_DATA)/lgg-flair" -o out/lgg-flair --bundle $(BUNDLE)

leaderboards: $(VENV)/installed  ## the documentation's page of all committed leaderboards, from their JSON files
	$(BIN)/python -m pipelines.figures.leaderboards

families: $(VENV)/installed  ## draw every anomaly family, as the documentation shows them
	$(BIN)/python -m pipelines.figures.families docs/explanation/families.png

gallery: $(VENV)/installed  ## the documentation's gallery of made-up cases, and the README's picture
	$(BIN)/python -m pipelines.figures.gallery docs

looks: $(VENV)/installed  ## every page made again and looked at by Chromium, and a contact sheet of all in out/looks
	HEALTHYTWIN_LOOKS=out/looks $(BIN)/python -m pytest tests/pipelines/test_looks.py

viewer: $(VENV)/installed  ## take NiiVue, the viewer of the reports, from npm, and axe-core, which checks pages in the tests
	$(BIN)/python -m pipelines.report.viewer
	$(BIN)/python -m tests.axe

clean:  ## remove the environments, the demo and every cache; results in out/ stay
	rm -rf $(VENV) $(LABEL) healthytwin-demo build dist *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find anomaly data_prep pipelines tests -name __pycache__ -type d -prune -exec rm -rf {} +
