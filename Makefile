# Development. `make help` lists the targets; what an operator does is ./heist COMMAND.
#
# PYTHON      any Python from 3.11 on; the environments under .local/env are made with it
# LOCAL_PORT  where `make run` listens (4566)
# STAGE       what `make deploy` deploys (dev); where `make redrive` and `preflight` work (locally)

PYTHON ?= python3
ENV := .local/env
BIN := $(ENV)/dev/bin

# What functions run on in AWS: the defaults of PythonRuntime and Architecture in template.yaml.
export LAMBDA_PYTHON ?= 3.13
export LAMBDA_ARCH ?= arm64
export SAM_CLI_TELEMETRY := 0

# $(call switch,NAME,--option) is the option if the variable NAME is on.
switch = $(if $(filter-out 1 yes true 0 no false,$($1)),$(error \
  $1 is a switch: 1, yes or true is on; empty, 0, no or false is off; not "$($1)"))$(if $(filter 1 yes true,$($1)),$2)

.DEFAULT_GOAL := help
.PHONY: help run demo mails logs env test search simulate stress bench bench-growth cost bench-load hot-victim mutants check format redrive preflight deploy lock clean tools python

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {gsub(/\$$\$$/, "$$", $$2); printf "make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo 'For operators, here or on a stage: ./heist --help'

unexport PYTHONHOME PYTHONPATH PYTHONSTARTUP

run: export ASKED_AT := $(shell date +%s)
run: tools ## the whole application on this machine, until Ctrl-C
	@exec $(BIN)/python -m local run

demo: tools ## one heist from the referral to the e-mails
	@exec $(BIN)/python -m local demo

mails: dev ## the mails that the running stack sent; OPEN=1: in a browser
	@exec $(BIN)/python -m local mails $(call switch,OPEN,--open)

logs: dev ## what its functions logged; FOLLOW=1 goes on until Ctrl-C
	@exec $(BIN)/python -m local logs $(call switch,FOLLOW,--follow)

env: dev ## exports for AWS's tools: eval "$$(make -s env)"
	@exec $(BIN)/python -m local env

redrive: ## redo dead letters, here or STAGE=; DRY=1 REFUSED=1 DOUBTFUL=1
	@exec ./heist redrive $(if $(STAGE),--stage "$$STAGE") $(call switch,REFUSED,--refused) $(call switch,DOUBTFUL,--doubtful) $(if $(call switch,DRY,dry),,--apply)

test: tools ## the whole test suite, or ONLY=tests/unit, ONLY='-k cooldown'
	@exec $(BIN)/python -m $(if $(ONLY),pytest $(ONLY),local.suites)

search: dev ## short games full of faults and races: SEEDS=1000, or SEED=123
	@PYTHONPATH=layers/heist_core exec $(BIN)/python -m tests.simulation $(if $(SEED),--seed "$(SEED)") $(if $(SEEDS),--seeds "$(SEEDS)") $(if $(FIRST),--first "$(FIRST)")

simulate: ## what other settings would do to a season: SET='NAME=VALUE …'
	@exec ./heist simulate $(if $(SET),--set "$$SET") $(if $(FROM),--from "$$FROM") $(if $(STAGE),--stage "$$STAGE") $(if $(PLAYERS),--players "$$PLAYERS") $(if $(SEEDS),--seeds "$$SEEDS") $(if $(FIRST),--first "$$FIRST") $(if $(ATTACKS),--attacks "$$ATTACKS") $(if $(REFERRALS),--referrals "$$REFERRALS") $(if $(CHOICE),--choice "$$CHOICE") $(if $(ELASTICITY),--elasticity "$$ELASTICITY")

stress: tools ## 10,000 faulted operations, no point lost; OPERATIONS=
	@PYTHONPATH=layers/heist_core exec $(BIN)/python -m tests.simulation.stress $(if $(OPERATIONS),--operations "$(OPERATIONS)") $(if $(ENGINE),--engine "$(ENGINE)")

bench: tools ## what it costs, beside its budgets (docs/performance.md)
	@"$(PYTHON)" local/tools.py peers
	@PYTHONPATH=layers/heist_core exec $(BIN)/python -m benchmarks

bench-growth: tools ## what it costs at 10³ to 10⁵ players: 5 minutes
	@PYTHONPATH=layers/heist_core exec $(BIN)/python -m benchmarks.growth

cost: dev ## dollars a month: PLAYERS=1000000 DIGEST=0.5 TIER= DRAW=
	@PYTHONPATH=layers/heist_core exec $(BIN)/python -m benchmarks.cost $(if $(PLAYERS),--players "$(PLAYERS)") $(if $(DIGEST),--digest "$(DIGEST)") $(if $(TIER),--tier "$(TIER)") $(if $(DRAW),--draw "$(DRAW)")

bench-load: tools ## many clients at once against one, and nothing lost
	@PYTHONPATH=layers/heist_core exec $(BIN)/python -m benchmarks.load

hot-victim: dev ## simulate everybody robbing one player, on paper's DynamoDB
	@PYTHONPATH=layers/heist_core exec $(BIN)/python -m benchmarks.hot_victim

mutants: dev ## break each write: tests must notice (30 minutes); MUTANTS=
	@PYTHONPATH=layers/heist_core exec $(BIN)/python -m tests.mutation '$(or $(MUTANTS),condition of|step of|version bump of|operand)'

check: tools checkov ## formatting, lint, types, imports, template, OpenAPI
	@exec "$(PYTHON)" -m local.checks

format: dev ## format, and mend what the linter can
	$(BIN)/ruff check --fix --quiet --exit-zero .
	$(BIN)/ruff format .

preflight: ## look at the account before deploying: STAGE=
	@exec ./heist preflight $(if $(STAGE),--stage "$$STAGE")

deploy: export STAGE ?= dev
deploy: sam ## to AWS: make deploy STAGE=dev
	@grep -qF "[$$STAGE.deploy." samconfig.toml || { \
	  echo "samconfig.toml has no stage $$STAGE: name one that it has, or add it there." >&2; exit 1; }
	PYTHON="$$PWD/$(ENV)/uv/bin/python" $(ENV)/sam/bin/sam build --config-env "$$STAGE"
	$(ENV)/sam/bin/sam deploy --config-env "$$STAGE"

lock: uv ## compile the requirements files; UPGRADE=1 takes newer
	@set -e; compile() { \
	  $(ENV)/uv/bin/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
	    $(call switch,UPGRADE,--upgrade) "$$@"; }; set -x; \
	compile pyproject.toml -o layers/heist_core/requirements.txt; \
	compile pyproject.toml --group dev -c layers/heist_core/requirements.txt -o requirements/dev.txt; \
	for group in sam ministack checkov uv peers; do compile --group $$group -o requirements/$$group.txt; done

clean: python ## forget environments, builds and local state
	@"$(PYTHON)" local/clean.py

# --- Environments: made when their requirements or the Python changed ----------------------------

.PHONY: dev sam uv checkov
tools: python
	@TOOLS_VERBOSE=1 "$(PYTHON)" local/tools.py dev sam ministack

dev sam uv checkov: python
	@"$(PYTHON)" local/tools.py uv $@

python:
	@command -v "$(PYTHON)" >/dev/null || { echo "There is no $(PYTHON): install Python 3.11 or newer, or name one, as in make PYTHON=python3.13." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, and $(PYTHON) is $$("$(PYTHON)" --version 2>&1): name one, as in make PYTHON=python3.13." >&2; exit 1; }
