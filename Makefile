# Every target runs deploy/setup.sh first, which makes .venv from uv.lock if needed. Nothing is installed into the system.
IN_PARALLEL = -n 2 --dist loadscope
.DEFAULT_GOAL := help
.PHONY: help setup run test unit engines lint format cli-docs audit clean clean-all
UV = $(or $(shell command -v uv),$(wildcard .runtime/uv-*/bin/uv))

help: ## Explain the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: ## Make .venv (the other targets do this too)
	@deploy/setup.sh

run: setup ## Train, evaluate and push a DIN on synthetic impressions (the demo configuration)
	@.venv/bin/din run --config demo

test: setup ## Run all tests
	@.venv/bin/python -m pytest $(IN_PARALLEL)

unit: setup ## Run the tests that do not run whole pipelines
	@.venv/bin/python -m pytest $(IN_PARALLEL) --ignore=tests/e2e

engines: setup ## Run the same pipeline locally, on Flink and on Spark, and compare (clusters on this machine)
	@.venv/bin/din bench engines $(if $(IMPRESSIONS),--impressions $(IMPRESSIONS))

lint: setup ## Check style, types and the direction of imports
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports --no-cache

format: setup ## Put the code in the common form
	@.venv/bin/ruff check --fix . && .venv/bin/ruff format .

cli-docs: setup ## Write docs/cli.md from the parser
	@.venv/bin/python -m pipeline.cli.reference > docs/cli.md

audit: setup ## Ask pypi.org for known vulnerabilities of the locked packages
	@mkdir -p .runtime && $(UV) export --quiet --frozen --no-emit-project --output-file .runtime/locked.txt
	@$(UV) tool run --quiet pip-audit@2.10.1 --strict --require-hashes --disable-pip --requirement .runtime/locked.txt

clean: ## Remove caches of tools; the workspace and .venv stay
	@rm -rf .mypy_cache .pytest_cache .ruff_cache dist && find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

clean-all: clean ## Remove every trace of the set-up (.venv, .runtime); the workspace stays
	@rm -rf .venv .runtime
