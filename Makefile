# `make` lists the verbs. Each sets up what it needs, once.
PYTHON       ?= $(eval PYTHON := $(shell .ci/find-python 3.11))$(PYTHON)
ENVIRONMENT  ?= development
ARCHITECTURE ?= arm64
WORKERS      ?= 5
PARAMS       ?=
TO           ?= simulator
ARGS         ?=

BIN  := .venv/bin
SAM  := .cache/sam/bin/sam
DOCS := .cache/docs/bin/zensical
UV   := .cache/uv/bin/uv
PIP  := install --quiet --disable-pip-version-check --no-deps
# $(call INSTALL,python,requirements): by uv in a tenth of pip's time, by pip where only pip knows an index.
INSTALL = $(UV) pip install --quiet --no-config --no-deps --require-hashes --python $(1) --requirement $(2) \
	|| .cache/uv/bin/python -m pip --python $(1) $(PIP) --require-hashes --requirement $(2)
VENV := .venv/.made
# What `make run` needs is a fifth of what development needs, and a part of it.
RUN  := $(if $(wildcard $(VENV)),$(VENV),.venv/.run)
NPM  := $(patsubst %/package-lock.json,%/node_modules/.made,$(wildcard tests/*/package-lock.json))

export ARCHITECTURE
export SAM_CLI_TELEMETRY := 0
export PYTHONPATH        := $(CURDIR)/ops:$(CURDIR)/layers/mailroom
# Bytecode beside the sources would make `sam build` believe that a layer has changed.
export PYTHONPYCACHEPREFIX := $(CURDIR)/.cache/pycache
unexport PYTHONDONTWRITEBYTECODE
export PARAMS ARGS # for `make deploy`, which no quote in them may break

ifeq ($(MAKELEVEL),0) # the makes below it share its jobs
MAKEFLAGS += --jobs=3
endif

.DEFAULT_GOAL := help
.PHONY: setup run test simulate mutants soak hostile check build package docs bench deploy smoke lock clean help

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUN) ## start everything on this machine, with an inbox: http://127.0.0.1:3000
	@$(BIN)/python -m mailroom_ops.local $(ARGS)

test: setup ## run the tests (ARGS="-k webhook" for some)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

simulate: setup ## run delivery under random faults (ARGS="--histories 1000000 --processes 2", or --help)
	$(BIN)/python -m tests.simulation $(ARGS)

mutants: setup ## break the delivery core on purpose, one place at a time: a test must notice each (ARGS="--list")
	$(BIN)/python -m tests.mutants $(ARGS)

soak: setup ## send mixed traffic with faults through the local stack for a while (ARGS="--minutes 30")
	$(BIN)/python -m tests.soak $(ARGS)

hostile: setup ## send hostile requests to the handlers (ARGS="--requests 1000000")
	$(BIN)/python -m tests.hostile $(ARGS)

check: setup ## run all that must pass before a change goes in
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(SAM) validate --lint
	@$(MAKE) test

build: $(SAM) ## build what Lambda runs (ARCHITECTURE=x86_64 for the other processor)
	@python=$$(.ci/find-python) && PATH=$$(dirname "$$python"):$$PATH \
		$(SAM) build --parameter-overrides Architecture=$(ARCHITECTURE)

package: build ## build, and pack the result for those who deploy it without this repository: dist/mailroom-arm64.zip
	mkdir -p dist
	rm -f dist/mailroom-$(ARCHITECTURE).zip
	cd .aws-sam/build && $(PYTHON) -m zipfile -c ../../dist/mailroom-$(ARCHITECTURE).zip *

docs: $(DOCS) ## build the website of the documentation, with its links checked: dist/docs/index.html
	.cache/docs/bin/python docs/site/build.py

deploy: $(RUN) $(SAM) ## build and deploy to your AWS account (ENVIRONMENT=staging PARAMS="Providers=ses,resend")
	@$(BIN)/python -m mailroom_ops.deployment --sam $(SAM) --environment $(ENVIRONMENT) $(GIVEN_ARCHITECTURE)
# The processor that somebody asked for; without one the stack keeps its own.
GIVEN_ARCHITECTURE = $(if $(filter-out file undefined,$(origin ARCHITECTURE)),--architecture $(ARCHITECTURE))

smoke: $(RUN) ## check a deployed environment, and follow a test mail to its delivery (ENVIRONMENT=staging TO=you@…)
	$(BIN)/mailroom doctor --env $(ENVIRONMENT) --send-test-to $(TO) --wait 120 --require-delivery --yes $(ARGS)

bench: setup ## measure cold starts, rendering, providers, a burst, feedback, the console (ARGS=quick: 3 minutes)
	$(BIN)/python -m bench $(ARGS)

setup: $(VENV) $(SAM) $(NPM) ## install what development needs, all inside this folder

lock: $(UV) ## pin the dependencies of pyproject.toml anew
	$(UV) pip compile $(LOCK) --universal --python-version 3.11 --group dev pyproject.toml -o requirements-dev.txt
	$(UV) pip compile $(LOCK) --universal --python-version 3.11 --constraint requirements-dev.txt \
		--group run pyproject.toml -o requirements-run.txt
	$(UV) pip compile $(LOCK) --universal --python-version 3.11 --group sam -o requirements-sam.txt
	$(UV) pip compile $(LOCK) --universal --python-version 3.11 --group docs -o requirements-docs.txt
	$(UV) pip compile $(LOCK) --python-version 3.13 --python-platform aarch64-manylinux_2_28 \
		--constraint requirements-dev.txt pyproject.toml -o layers/dependencies/requirements.txt
	$(UV) pip compile $(LOCK) --python-version 3.13 --python-platform aarch64-manylinux_2_28 \
		--constraint requirements-dev.txt --group signatures -o layers/signatures/requirements.txt
	$(UV) pip compile $(LOCK) --python-version 3.13 --python-platform aarch64-manylinux_2_28 $(IN_RUNTIME) \
		--constraint requirements-dev.txt --group encryption -o layers/encryption/requirements.txt
	$(UV) pip compile $(LOCK) --universal --python-version 3.11 --group uv -o requirements-uv.txt
	$(UV) pip compile $(LOCK) --universal --python-version 3.13 --group bench -o bench/naive/handler/requirements.txt
IN_RUNTIME := $(addprefix --no-emit-package ,boto3 botocore jmespath python-dateutil s3transfer six urllib3)
LOCK := --quiet --upgrade --generate-hashes --no-emit-index-url --no-annotate --no-header

clean: ## remove all that was installed or built
	rm -rf .venv .cache .aws-sam dist .mypy_cache .ruff_cache .pytest_cache .hypothesis tests/*/node_modules

# $(call MAKE_VENV,requirements,options): .venv with these packages, and with the `mailroom` command.
define MAKE_VENV
	@$(PYTHON) -m venv $(2) .venv
	@$(call INSTALL,$(BIN)/python,$(1))
	@$(UV) pip install --quiet --no-config --no-deps --no-build-isolation --python $(BIN)/python --editable . \
		|| .cache/uv/bin/python -m pip --python $(BIN)/python $(PIP) --no-build-isolation --editable .
	@touch $@
endef

.venv/.run: requirements-run.txt | $(UV)
	@echo "installing what running needs into .venv, 120 MB"
	$(call MAKE_VENV,requirements-run.txt,--without-pip)

$(VENV): requirements-dev.txt | $(UV)
	@echo "installing what development needs into .venv, 600 MB"
	$(call MAKE_VENV,requirements-dev.txt)

$(SAM): requirements-sam.txt | $(UV)
	@echo "installing AWS SAM into .cache/sam"
	@$(PYTHON) -m venv .cache/sam
	@$(call INSTALL,.cache/sam/bin/python,requirements-sam.txt)
	@touch $@

$(DOCS): requirements-docs.txt | $(UV)
	@echo "installing the generator of the documentation into .cache/docs"
	@$(PYTHON) -m venv .cache/docs
	@$(call INSTALL,.cache/docs/bin/python,requirements-docs.txt)
	@touch $@

$(UV): requirements-uv.txt
	@$(if $(filter deploy build package,$(MAKECMDGOALS)),.ci/find-python >/dev/null)
	@$(PYTHON) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "needs Python 3.11 or newer with venv: install it, or name it with PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "first time: installing uv into .cache, which installs the rest; about half a minute in all"
	@$(PYTHON) -m venv .cache/uv
	@.cache/uv/bin/python -m pip $(PIP) --require-hashes --requirement requirements-uv.txt
	@touch $@

%/node_modules/.made: %/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix $* --no-audit --no-fund --silent && touch $@; \
	else echo "npm is missing: what needs $*/node_modules will be skipped"; fi
