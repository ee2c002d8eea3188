# `make run` and `make test` need python3 (3.11 or newer) with venv, and make. `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
HERMES_VENV := .venv-hermes
TRAINERS_VENV := .venv-trainers
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run demo test test-hermes test-trainers test-pythons snapshots check format bench pictures clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[test,redis]'
	@touch $@ $(VENV)/.run

$(VENV)/.check: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[test,check,redis]'
	@touch $@ $(VENV)/.test $(VENV)/.run

run: $(VENV)/.run ## open the console
	@$(BIN)/timmy-tui

demo: $(VENV)/.run ## open the console over a simulated stack
	@$(BIN)/timmy-tui demo

test: $(VENV)/.test ## the whole suite
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

snapshots: $(VENV)/.test ## accept how the screens look now
	$(BIN)/python -m pytest tests/screens --snapshot-update

$(HERMES_VENV)/.made:
	$(PYTHON) -m venv $(HERMES_VENV)
	$(HERMES_VENV)/bin/python -m pip install --quiet --disable-pip-version-check 'hermes-agent==0.19.0'
	@touch $@

test-hermes: $(VENV)/.test $(HERMES_VENV)/.made ## the real Hermes against a fake model server
	TIMMY_TEST_HERMES=$(abspath $(HERMES_VENV)/bin/hermes) $(BIN)/python -m pytest tests/e2e_hermes

$(TRAINERS_VENV)/.made: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(TRAINERS_VENV)
	$(TRAINERS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		'trl==1.16.0' datasets transformers torch accelerate --editable '.[test]'
	@touch $@

test-trainers: $(TRAINERS_VENV)/.made ## the exported datasets in TRL itself (a large download)
	$(TRAINERS_VENV)/bin/python -m pytest tests/trainers

PYTHONS ?= $(or $(shell for minor in 11 12 13 14 15 16; do command -v python3.$$minor || true; done),$(PYTHON))
# A version that need not run again, as "3.12".
EXCEPT ?=

test-pythons: ## the unit tests on every Python that is found
	@set -e; for python in $(PYTHONS); do \
		$$python -c 'import venv' 2>/dev/null || { echo "$$python: not a working Python, left out"; continue; }; \
		name=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); venv=.venv-pythons/$$name; \
		test "$$name" != "$(EXCEPT)" || { echo "Python $$name: left out as asked"; continue; }; \
		$$python -m venv $$venv; \
		$$venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
			--editable '.[test,redis]'; \
		echo "Python $$name:"; $$venv/bin/python -m pytest --numprocesses 2 --dist worksteal tests/unit; \
	done

check: $(VENV)/.check ## formatting, lint, types, import layers
	$(BIN)/ruff format --check --quiet timmy_tui tests bench docs
	$(BIN)/ruff check --quiet timmy_tui tests bench docs
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.check ## format the code
	$(BIN)/ruff format --quiet timmy_tui tests bench docs
	$(BIN)/ruff check --quiet --fix timmy_tui tests bench docs

bench: $(VENV)/.test ## measure every promised ratio
	$(BIN)/python -m bench

pictures: $(VENV)/.run ## make the pictures of the README anew
	$(BIN)/python docs/make_pictures.py docs/pictures

clean: ## remove what the targets made
	rm -rf $(VENV) .venv-pythons $(HERMES_VENV) $(TRAINERS_VENV) bench/out .mypy_cache .ruff_cache .hypothesis
