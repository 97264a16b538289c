# Every command of the project. `make help` lists them.
#
# PYTHON      any Python from 3.11 on; the environments under .local/env are made with it
# LOCAL_PORT  where `make run` listens (4566)
# STAGE       what `make deploy` deploys (dev, prod)

PYTHON ?= python3
# Only a STAGE that was asked for: redrive and audit are for the running stack otherwise.
ON_STAGE := $(if $(filter command environment,$(origin STAGE)),--stage $(STAGE))
STAGE ?= dev
ENV := .local/env
BIN := $(ENV)/dev/bin

# What functions run on in AWS: the defaults of PythonRuntime and Architecture in template.yaml.
export LAMBDA_PYTHON ?= 3.13
export LAMBDA_ARCH ?= arm64
export SAM_CLI_TELEMETRY := 0

.DEFAULT_GOAL := help
.PHONY: help run demo mails logs env config import test torture bank-run bench bench-growth bench-load hot-victim mutants check format redrive report audit reverse drill smoke deploy lock clean tools python

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {gsub(/\$$\$$/, "$$", $$2); printf "make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: tools ## the whole application on this machine, until Ctrl-C
	@exec $(BIN)/python -m local run

demo: tools ## one heist from the referral to the e-mails, on what runs or on a temporary stack
	@exec $(BIN)/python -m local demo

mails: dev ## the mails that the running stack sent
	@exec $(BIN)/python -m local mails

logs: dev ## what its functions logged; FOLLOW=1 goes on until Ctrl-C
	@exec $(BIN)/python -m local logs $(if $(FOLLOW),--follow)

env: dev ## exports for AWS's tools: eval "$$(make -s env)"
	@exec $(BIN)/python -m local env

config: dev ## settings in effect; SET='HEIST_STEAL_PERCENTAGE=4' BACK=3 HISTORY=1 REASON= YES=1, here or on STAGE=
	@exec $(BIN)/python -m ops config $(ON_STAGE) $(if $(HISTORY),--history) $(foreach one,$(SET),--set '$(one)') $(if $(BACK),--back $(BACK)) \
	  $(if $(REASON),--reason "$$REASON") $(if $(SET)$(BACK),$(if $(YES),--apply,--ask))

report: dev ## heists per day, token balances, top robbers; here or on STAGE=, JSON=1
	@exec $(BIN)/python -m ops report $(ON_STAGE) $(if $(JSON),--json)

redrive: dev ## redo dead letters, on the running stack or on STAGE=; DRY=1 REFUSED=1 DOUBTFUL=1
	@exec $(BIN)/python -m ops redrive $(ON_STAGE) $(if $(DRY),,--apply) $(if $(REFUSED),--refused) $(if $(DOUBTFUL),--doubtful)

import: dev ## move in from the old system: FROM=folder with its tables; YES=1 REASON='...' does it, SEASON=2026-11 SKIP=1
	@exec $(BIN)/python -m ops import $(FROM) $(ON_STAGE) $(if $(SEASON),--season $(SEASON)) $(if $(SKIP),--skip-rejected) $(if $(YES)$(APPLY),--apply) $(if $(REASON),--reason '$(REASON)')

audit: dev ## check every invariant of the running stack's table, or of STAGE=, or of TABLE=
	@exec $(BIN)/python -m ops audit $(ON_STAGE) $(if $(TABLE),--table $(TABLE))

reverse: dev ## give stolen points back: HEIST=id or FILE=ids.txt, REASON=, REFUND=1 the token too; shows, then asks, or YES=1
	@exec $(BIN)/python -m ops reverse $(ON_STAGE) $(HEIST) $(if $(FILE),--file "$$FILE") --reason "$$REASON" $(if $(REFUND),--refund-token) $(if $(YES),--apply,--ask)

drill: dev ## restore a copy of the table, audit the copy, delete it, here or on STAGE=
	@exec $(BIN)/python -m ops drill $(ON_STAGE) $(if $(KEEP),--keep)

smoke: dev ## does the running stack, or STAGE=, answer as it should? PLAY=1 lets a player of its own play
	@exec $(BIN)/python -m ops smoke $(ON_STAGE) $(if $(PLAY),--apply)

test: tools ## the whole test suite
	@exec $(BIN)/python -m local.suites

torture: dev ## short games full of faults and races: SEEDS=1000 of them, or SEED=123 again, told in full
	@PYTHONPATH=layers/heist_core exec $(BIN)/python -m tests.torture $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FIRST),--first $(FIRST))

bank-run: tools ## 10,000 operations at once, a fifth of the writes faulted, every point accounted for; OPERATIONS=30000 ENGINE=ministack
	@PYTHONPATH=layers/heist_core exec $(BIN)/python -m tests.torture.bank_run $(if $(OPERATIONS),--operations $(OPERATIONS)) $(if $(ENGINE),--engine $(ENGINE))

bench: tools ## what it costs, beside its budgets; docs/performance.md says how to read it
	@$(PYTHON) local/tools.py peers
	@PYTHONPATH=layers/heist_core exec $(BIN)/python -m benchmarks

bench-growth: tools ## what it costs at 10³ to 10⁶ players: 15 minutes, draws docs/growth.svg
	@PYTHONPATH=layers/heist_core exec $(BIN)/python -m benchmarks.growth

bench-load: tools ## many clients at once against one, and nothing lost
	@PYTHONPATH=layers/heist_core exec $(BIN)/python -m benchmarks.load

hot-victim: dev ## simulate everybody robbing one player, on paper's DynamoDB
	@PYTHONPATH=layers/heist_core exec $(BIN)/python -m benchmarks.hot_victim

mutants: dev ## break the rules and the requests in every small way, and every condition in a race: something must notice
	@$(BIN)/python -m tests.mutation
	@PYTHONPATH=layers/heist_core exec $(BIN)/python -m tests.torture.mutants

check: tools checkov ## formatting, lint, types, import rules, template, OpenAPI document
	@exec $(PYTHON) -m local.checks

format: dev ## format, and mend what the linter can
	$(BIN)/ruff check --fix --quiet --exit-zero .
	$(BIN)/ruff format .

deploy: sam ## to AWS: make deploy STAGE=dev
	@grep -q '^\[$(STAGE)\.deploy\.' samconfig.toml || { \
	  echo "samconfig.toml has no stage $(STAGE): name one that it has, or add it there." >&2; exit 1; }
	PYTHON=$(CURDIR)/$(ENV)/uv/bin/python $(ENV)/sam/bin/sam build --config-env $(STAGE)
	$(ENV)/sam/bin/sam deploy --config-env $(STAGE)

lock: uv ## compile the requirements files from pyproject.toml; UPGRADE=1 takes newer versions
	@set -e; compile() { \
	  $(ENV)/uv/bin/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
	    $(if $(UPGRADE),--upgrade) "$$@"; }; set -x; \
	compile pyproject.toml -o layers/heist_core/requirements.txt; \
	compile pyproject.toml --group dev -c layers/heist_core/requirements.txt -o requirements/dev.txt; \
	for group in sam ministack checkov uv peers; do compile --group $$group -o requirements/$$group.txt; done

clean: ## forget environments, builds and local state
	@if [ -f .local/outputs.json ]; then echo 'Stop `make run` first (Ctrl-C).' >&2; exit 1; fi
	rm -rf .local .aws-sam .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .schemathesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- Environments: made when their requirements or the Python changed ----------------------------

.PHONY: dev sam uv checkov
tools: python
	@TOOLS_VERBOSE=1 $(PYTHON) local/tools.py dev sam ministack

dev sam uv checkov: python
	@$(PYTHON) local/tools.py uv $@

python:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON): install Python 3.11 or newer, or name one, as in make PYTHON=python3.13." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, and $(PYTHON) is $$($(PYTHON) --version 2>&1): name one, as in make PYTHON=python3.13." >&2; exit 1; }
