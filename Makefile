SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
STACK ?= dev
export STACK

# The environment is made anew when the lock changes.
.venv/.ready: requirements.lock ops/bootstrap.sh
	@ops/bootstrap.sh

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1mmake %-14s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: up
up: .venv/.ready ## Bring the dev stack up, with the simulated cluster that it watches
	@$(PYTHON) -m ops up

.PHONY: down
down: .venv/.ready ## Remove everything that `make up` made
	@$(PYTHON) -m ops down

.PHONY: status
status: .venv/.ready ## Show each part of the stack, its URL and whether it is healthy
	@$(PYTHON) -m ops status

.PHONY: preview
preview: .venv/.ready ## Show what `make up` would change
	@$(PYTHON) -m ops preview

.PHONY: drift
drift: .venv/.ready ## Compare the program with what really runs; exit 2 where they differ
	@$(PYTHON) -m ops drift

.PHONY: guests
guests: .venv/.ready ## Write the installers for guests, of STACK, into build/guests
	@$(PYTHON) -m ops guests

.PHONY: pki
pki: .venv/.ready ## Make the certificates, keys and passwords that STACK lacks; renew: python -m ops pki renew
	@$(PYTHON) -m ops pki

.PHONY: test
test: .venv/.ready ## Lint, types and all layers of tests
	@$(PYTHON) -m ops test

.PHONY: bench
bench: .venv/.ready ## Measure what the README promises; ends in a table
	@$(PYTHON) -m ops bench

.PHONY: gameday
gameday: .venv/.ready ## Break things in the simulated cluster, measure who is told when (OPTIONS=--critical)
	@$(PYTHON) -m ops gameday $(OPTIONS)

.PHONY: render
render: .venv/.ready ## Write dashboards/rendered from the builders
	@$(PYTHON) -m dashboards

.PHONY: pictures
pictures: .venv/.ready ## Draw every dashboard, with data of the lab, by Grafana's own components
	@$(PYTHON) -m ops pictures

.PHONY: pictures-docs
pictures-docs: .venv/.ready ## Draw the pictures of docs/pictures anew
	@$(PYTHON) -m ops pictures --docs

.PHONY: lint
lint: .venv/.ready ## Ruff and mypy
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy .

.PHONY: format
format: .venv/.ready ## Format all Python files
	@.venv/bin/ruff check --fix -q . ; .venv/bin/ruff format .

.PHONY: lock
lock: .venv/.ready ## Resolve pyproject.toml into requirements.lock
	@. ops/bootstrap.sh --only-uv && "$$UV" pip compile -q --universal --group dev --generate-hashes \
		--no-emit-index-url --no-header pyproject.toml -o requirements.lock
