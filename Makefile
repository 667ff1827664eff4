# Every target makes `.venv` when it is missing: Python 3.11 and make are enough.

PYTHON ?= python3
# A tool of the development environment; the same with a database that lasts as long.
TOOL = @$(PYTHON) -m launch run --without-database --
WITH_DATABASE = @$(PYTHON) -m launch run --
# What a deployment sets, for `manage.py check --deploy`.
DEPLOYED = env DEBUG=false HTTPS_ONLY=true ALLOWED_HOSTS=purser.example.com EMAIL_URL=smtp+tls://mail.example.com:587
LOCK = uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --quiet --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help up manage demo test machines faults check smoke lint types imports migrations deploy-check openapi openapi-diff chaos chaos-planted chaos-disk pressure fuzz fuzz-api bench-bootstrap bench-forecast bench-ingest bench-holds bench-pricing bench-rerate bench-what-if format lock

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## run everything on this machine until Ctrl-C; PORT=8000, PURSER_HOME=var, DEMO_RECORDS=300000, DATABASE_URL=
	@$(PYTHON) -m launch up

manage: ## manage.py on what `make up` runs; ARGS="verify_ledger"
	@$(PYTHON) -m launch manage -- $(ARGS)

demo: ## seed the demo beside a running `make up` that did not; ARGS="--records 50000 --days 30"
	@$(PYTHON) -m launch manage -- seed_demo $(ARGS)

test: ## run the tests on a database of their own; ARGS= goes to pytest
	@$(PYTHON) -m launch test -- $(or $(ARGS),--ignore=tests/chaos)

machines: ## the ledger, holds and alerts under any order of events: 200 examples each
	@$(PYTHON) -m launch test -- --hypothesis-profile=many tests/billing/test_ledger_machine.py tests/billing/test_hold_machine.py tests/billing/test_alert_machine.py

faults: ## one fault after the other, and that the harness of `make chaos` can fail
	@$(PYTHON) -m launch test -- tests/chaos

check: lint types imports migrations deploy-check openapi-diff test faults chaos pressure smoke ## all that has to hold before a merge

smoke: ## `make up` in a directory of its own, a request, a small demo, Ctrl-C
	$(TOOL) python -m tests.launch.smoke

lint: ## ruff: rules and format
	$(TOOL) sh -c 'ruff check . && ruff format --check .'

types: ## mypy, strict; its Django plugin loads the settings
	$(WITH_DATABASE) mypy

imports: ## the one-way imports
	$(TOOL) lint-imports

migrations: ## models and migrations agree
	$(WITH_DATABASE) python manage.py makemigrations --check --dry-run

deploy-check: ## Django's deployment checks, as deployed
	$(WITH_DATABASE) $(DEPLOYED) python manage.py check --deploy --fail-level WARNING

openapi: ## write docs/openapi.yaml
	$(WITH_DATABASE) python manage.py spectacular --file docs/openapi.yaml

openapi-diff: ## docs/openapi.yaml is what the code emits
	$(WITH_DATABASE) sh -c 'python manage.py spectacular --file "$$PURSER_HOME/openapi.yaml" && diff -u docs/openapi.yaml "$$PURSER_HOME/openapi.yaml"'

chaos: ## break everything at random under load; SECONDS=60 SEED=1
	$(WITH_DATABASE) python -m tests.chaos --seconds $(or $(SECONDS),60) --seed $(or $(SEED),1)

pressure: ## twice as much as it can do, and one team at full speed beside another
	@$(PYTHON) -m launch test -- -s -n 0 tests/journeys/pressure.py

fuzz: ## bodies of all kinds against the door, its memory watched; SECONDS=180 SEED=1
	$(TOOL) python -m tests.door.fuzz --seconds $(or $(SECONDS),180) --seed $(or $(SEED),1)

fuzz-api: ## every operation of docs/openapi.yaml, asked rightly and wrongly; SECONDS=180 SEED=1
	$(TOOL) python -m tests.door.fuzz_api --seconds $(or $(SECONDS),180) --seed $(or $(SEED),1)

bench-ingest: ## post batches, then single records, until all is counted; SECONDS=60 of each
	$(TOOL) python -m tests.bench.ingest --seconds $(or $(SECONDS),60)

bench-holds: ## verdicts and holds beside ingest, then 64 clients at once; SECONDS=60
	$(TOOL) python -m tests.bench.holds --seconds $(or $(SECONDS),60)

chaos-planted: ## each of the planted bugs has to make the storm fail; SECONDS=10 SEED=1
	$(TOOL) python -m tests.chaos.bugs --seconds $(or $(SECONDS),10) --seed $(or $(SEED),1)

chaos-disk: ## the disk runs full under load, on a small tmpfs: root, or user namespaces; SEED=1
	$(TOOL) python -m tests.chaos.disk --seed $(or $(SEED),1)

bench-rerate: ## how long it takes to re-rate RECORDS=1000000, on a server of its own
	$(TOOL) python -m tests.bench.rerate --records $(or $(RECORDS),1000000)

bench-bootstrap: ## how often the interval of a mean cost holds it; TRIALS=1000, about ten minutes
	$(TOOL) python -m tests.bench.bootstrap --trials $(or $(TRIALS),1000)

bench-what-if: ## how long what-if, savings and routing breaches take on RECORDS=1000000, on a server of its own
	$(TOOL) python -m tests.bench.what_if --records $(or $(RECORDS),1000000)

bench-forecast: ## how far off forecasts are, beside run-rate and seasonal naive; a few seconds
	$(TOOL) python -m tests.bench.forecast

bench-pricing: ## price records, beside genai-prices and LiteLLM; installs the latter once
	@$(PYTHON) -m launch run --without-database --lock bench -- python -m tests.bench.pricing

format: ## let ruff correct what it can
	$(TOOL) sh -c 'ruff check --fix . ; ruff format .'

lock: ## compile requirements/*.txt from pyproject.toml
	$(TOOL) $(LOCK) -o requirements/base.txt
	$(TOOL) $(LOCK) --extra local -c requirements/base.txt -o requirements/local.txt
	$(TOOL) $(LOCK) --extra local --group dev -c requirements/base.txt -o requirements/dev.txt
	$(TOOL) $(LOCK) --group bench -c requirements/base.txt -o requirements/bench.txt
