# Two commands: `make demo` runs the main job on the lab from nothing, `make test` runs every test from nothing.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: help demo test test-story test-kills test-faults test-ledger test-rebuild test-long static unit e2e lab lab-down lock clean

help:  ## these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{ printf "  %-12s %s\n", $$1, $$2 }'

$(VENV)/ready: requirements-dev.lock
	$(PYTHON) -m venv --clear $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	touch $@

demo: $(VENV)/ready  ## the lab, a dropped table, and its recovery, narrated
	$(RUN) -m lab up
	$(RUN) -m lab exec -- $(CURDIR)/$(RUN) -m lab.demo

test: static unit e2e  ## every check, from static ones to the end-to-end tests on the lab

static: $(VENV)/ready  ## ruff, mypy, and who may import whom
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports --no-logo

unit: $(VENV)/ready  ## tests that need no lab
	$(RUN) -m pytest -m "not e2e and not lab_down"

e2e: $(VENV)/ready  ## the end-to-end tests, on the lab
	$(RUN) -m lab up
	$(RUN) -m pytest -m "e2e and not long"

test-story: $(VENV)/ready  ## a whole incident under Argo CD, its end killed after each step
	$(RUN) -m lab up
	$(RUN) -m pytest tests/e2e/test_story.py

test-kills: $(VENV)/ready  ## every operation killed or interrupted after each of its steps, and resumed (SIGNAL=SIGINT: by that one only)
	$(RUN) -m lab up
	$(RUN) -m pytest tests/e2e/test_chain.py -k '$(or $(SIGNAL),SIG)'

test-faults: $(VENV)/ready  ## the API server, the operator, a pod, the bucket lost meanwhile; a sync by hand
	$(RUN) -m lab up
	$(RUN) -m pytest tests/e2e/test_faults.py tests/e2e/test_store_faults.py tests/e2e/test_argocd_forced.py

test-ledger: $(VENV)/ready  ## random operations under random faults, and what was acknowledged meanwhile (LEDGER_SEED, LEDGER_SCHEDULES)
	$(RUN) -m lab up
	$(RUN) -m pytest -s -rxXf tests/e2e/test_ledger.py

test-rebuild: $(VENV)/ready  ## the cluster lost and built anew, killed in each step; a region lost, and built elsewhere
	$(RUN) -m lab up
	$(RUN) -m pytest tests/e2e/test_rebuild.py tests/e2e/test_another_region.py

test-long: $(VENV)/ready  ## all end-to-end tests that take minutes each
	$(RUN) -m lab up
	$(RUN) -m pytest -m "e2e and long"

lab: $(VENV)/ready  ## bring the lab up
	$(RUN) -m lab up

lab-down: $(VENV)/ready  ## take the lab down
	$(RUN) -m lab down

lock:  ## make the locks anew from requirements*.txt
	for name in requirements requirements-stores requirements-dev; do \
	  $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --no-header --override overrides.txt $$name.txt -o $$name.lock; done

clean:  ## forget the virtual environment (the lab's cache stays: python -m lab down --cache)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
