# The few words people type. `make demo` and `make test` do all the set-up they need.

PYTHON ?= python3
BIN := .venv/bin
# What the tests hold figures against. Without dependencies: lifelines asks for an older pandas than it works with, and of
# lifetimes only a data file is read.
PEERS := lifelines lifetimes autograd autograd-gamma formulaic interface-meta scipy wrapt

.DEFAULT_GOAL := help
.PHONY: help env demo test test-bigquery-live check app worker bench bench-app bench-peers test-gspread test-n8n test-postgres test-powerbi test-accessibility test-airflow test-proof \
	test-release audit release

help:
	@echo "make demo    environment, demo bank, one full run, the app on http://localhost:8501"
	@echo "make test    environment, test tools, every test that needs nothing else"
	@echo "make test-proof    the long proofs: half an hour and more"
	@echo "make test-gspread GSPREAD=dir    gspread's own tests against the stand-in of Google Sheets; dir is its checkout"
	@echo "make test-bigquery-live    both engines compared on the real BigQuery; NEOPULSE_BQ_LIVE_PROJECT names the project"
	@echo "make test-n8n    the workflow in real n8n, installed once into N8N_FOLDER (3 GB)"
	@echo "make test-accessibility    every page before axe-core, installed once from npm, and by keyboard alone"
	@echo "make test-powerbi SCHEMAS=dir    the Power BI project before Microsoft's parsers and schemas; dir is a checkout of microsoft/json-schemas"
	@echo "make test-postgres    the tests of the run store and of all that use it, on PostgreSQL"
	@echo "make test-airflow    the DAG in a real Airflow, installed once into .venv-airflow"
	@echo "make check   every setting and service: what is wrong, what to do"
	@echo "make app     serve the app          make worker   run the chain on schedule and on request"
	@echo "make audit   every pinned dependency against the known advisories; needs the network"
	@echo "make release    dist/neopulse-VERSION-py3-none-any.whl, and the image neopulse:VERSION where Docker is"
	@echo "make test-release    both built, installed into an empty folder, and the demo run there; a few minutes"
	@echo "make bench   measure against the floor and the peers: BENCH_TRANSACTIONS=N, default 10000000"
	@echo "make bench-app    the app in a real browser and under load, beside plain Streamlit"

env: .venv/.installed

demo: env
	@$(BIN)/neopulse demo

check: env
	@$(BIN)/neopulse check

app: env
	@exec $(BIN)/neopulse app

worker: env
	@exec $(BIN)/neopulse worker

# Three processes, each with whole groups, for two processors: a quarter of the time a test waits, for a browser, a server or a child. In the
# order of the files, for the long ones come first.
IN_THREE := -n 3 --dist loadgroup --no-loadscope-reorder
# In memory where there is room (a build flushes hundreds of times, which costs a sixth of the time on a disk). What Python compiles is
# kept, whatever the machine says: every process and child would compile it again. The types are checked meanwhile, on one processor.
ROOMY := $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 8000000 { print "/dev/shm" }')
test: export PYTHONDONTWRITEBYTECODE =
test: .venv/.tested-with
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	@folder=$$(mktemp -d "$(or $(ROOMY),$${TMPDIR:-/tmp})/neopulse-XXXXXX") && \
		{ $(BIN)/mypy >"$$folder/mypy" 2>&1 & types=$$!; \
		$(BIN)/pytest $(IN_THREE) --basetemp "$$folder/t" -m "not proof and not n8n and not powerbi and not axe"; ended=$$?; \
		wait $$types || ended=$$?; echo "mypy: $$(cat "$$folder/mypy")"; rm -rf "$$folder"; exit $$ended; }

test-proof: .venv/.tested-with
	$(BIN)/pytest $(IN_THREE) -m proof

# Against the advisories of today: not among the tests, whose answer must not change by itself. Strict: a package that could not be
# looked up, as without a network, is no package without a finding.
audit: .venv-audit/.installed
	@.venv-audit/bin/pip-audit --requirement constraints.txt --strict --no-deps --disable-pip --progress-spinner off

.venv-audit/.installed:
	@$(PYTHON) -m venv .venv-audit
	@.venv-audit/bin/pip install --quiet --disable-pip-version-check 'pip-audit>=2.9'
	@touch $@

# The version stands in pyproject.toml alone; `neopulse --version`, the wheel and the image's tag and label say that one.
VERSION = $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
WHEEL = dist/neopulse-$(VERSION)-py3-none-any.whl
DOCKER ?= docker
HAS_DOCKER = $(DOCKER) info >/dev/null 2>&1
IMAGE_LABELS = --label org.opencontainers.image.version=$(VERSION) --label org.opencontainers.image.licenses=Apache-2.0 \
	--label org.opencontainers.image.revision=$(shell git rev-parse HEAD 2>/dev/null)

# Without the folder build: setuptools would take along what an older checkout left there.
release: .venv/.installed
	@rm -rf build $(WHEEL)
	@$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@rm -rf build
	@echo "built $(WHEEL)"
	@if $(HAS_DOCKER); then \
		$(DOCKER) build --quiet --tag neopulse:$(VERSION) --tag neopulse:latest $(IMAGE_LABELS) . && echo "built the image neopulse:$(VERSION)"; \
	else echo "no image: Docker does not answer on this machine"; fi

# The wheel in a fresh environment and an empty folder; then the same in a container of the image.
test-release: release
	$(PYTHON) scripts/try_wheel.py $(WHEEL) --constraints constraints.txt
	@if $(HAS_DOCKER); then \
		$(DOCKER) run --rm --read-only --cap-drop ALL --tmpfs /tmp:mode=1777 --tmpfs /data:mode=1777 neopulse:$(VERSION) sh -ec \
			'test "$$(neopulse --version)" = "neopulse, version $(VERSION)"; neopulse demo --no-app --transactions 3000; \
			neopulse metric active_customers'; \
	else echo "the image was not tried: Docker does not answer on this machine"; fi

BENCH_TRANSACTIONS ?= 10000000

bench: env bench-peers
	@$(BIN)/python -m benchmarks --transactions $(BENCH_TRANSACTIONS) $(addprefix --without=,$(BENCH_WITHOUT))

# The app before a real Chromium and fifty readers, beside a page in plain Streamlit; on a bank that is published once and kept, or
# on the one that BENCH_APP_HOME names.
bench-app: .venv/.tested-with
	@$(BIN)/python -m benchmarks.app --transactions $(BENCH_TRANSACTIONS) $(if $(BENCH_APP_HOME),--home "$(BENCH_APP_HOME)") \
		$(addprefix --without=,$(BENCH_WITHOUT))

bench-peers: .venv-bench/.installed

.venv-bench/.installed: benchmarks/requirements.txt
	@echo "making .venv-bench (once; a minute or two)"
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# 3 GB from npm, once, outside the checkout.
N8N_FOLDER ?= $(HOME)/.cache/neopulse/n8n

test-n8n: .venv/.tested-with
	integrations/n8n/install.sh "$(N8N_FOLDER)"
	N8N_FOR_TESTS="$(N8N_FOLDER)" $(BIN)/pytest -rs -m n8n tests/integration/test_n8n_real.py

# The Power BI project before Microsoft's own parsers, installed once from npm (60 MB; the modeling server has Microsoft's licence
# terms, for developing and testing), and before its schemas: SCHEMAS is a checkout of microsoft/json-schemas (git clone), as they are no
# package. Without it the schemas are skipped, by name.
POWERBI_FOLDER ?= $(HOME)/.cache/neopulse/powerbi

test-powerbi: .venv/.tested-with
	@mkdir -p "$(POWERBI_FOLDER)"
	cd "$(POWERBI_FOLDER)" && npm install --no-audit --no-fund --loglevel=error \
		@microsoft/powerbi-modeling-mcp@0.5.0-beta.13 @microsoft/powerquery-parser@0.18.4
	TESTS_POWERBI_NODE="$(POWERBI_FOLDER)" TESTS_POWERBI_SCHEMAS="$(SCHEMAS)" $(BIN)/pytest -rs -m powerbi \
		tests/integration/test_powerbi_validators.py

# Every page before axe-core, both themes, at 1280 and 390 pixels; axe-core comes from npm (3 MB, once, outside the checkout).
AXE_FOLDER ?= $(HOME)/.cache/neopulse/axe

test-accessibility: .venv/.tested-with
	@mkdir -p "$(AXE_FOLDER)"
	cd "$(AXE_FOLDER)" && npm install --no-audit --no-fund --loglevel=error axe-core@4.11.1
	TESTS_AXE="$(AXE_FOLDER)/node_modules/axe-core/axe.min.js" $(BIN)/pytest -rs -p no:xdist tests/e2e/test_accessibility.py tests/e2e/test_keyboard.py

# gspread's own tests, unmodified, against our stand-in of Google Sheets. GSPREAD is a checkout of burnash/gspread at the
# release that is installed (git clone --branch v6.2.1): its source distribution has no tests. Then our answers beside those that
# Google gave when they recorded them.
test-gspread: .venv/.tested-with
	@test -d "$(GSPREAD)/tests" || { echo "name a checkout of burnash/gspread: make test-gspread GSPREAD=../gspread" >&2; exit 2; }
	cd "$(GSPREAD)" && PYTHONPATH="$(CURDIR)/tests:$(CURDIR)" $(CURDIR)/$(BIN)/python -m pytest -o addopts= -p no:cacheprovider \
		-p stand_ins.google_sheets.gspread_suite -q tests/*_test.py
	PYTHONPATH=tests:. $(BIN)/python -m stand_ins.google_sheets.recordings "$(GSPREAD)/tests/cassettes"

# What works on a run store that it opens itself, with PostgreSQL in the place of SQLite; the daily tests have the core on both.
ON_A_RUN_STORE := $(patsubst %,tests/unit/test_%.py,worker healthz schedule held cli_approval cancel fencing alerts incidents \
	delivery activation notify n8n smtp sessions google_syncs reverse_etl reverse_etl_addresses reverse_etl_tables syncs_page \
	schedule_page alerts_page versions_page runs_page service_pages)

test-postgres: .venv/.tested-with
	TESTS_RUN_STORE=postgresql $(BIN)/pytest $(IN_THREE) -m "not proof and not n8n" $(ON_A_RUN_STORE)

# Airflow has an environment of its own; it only calls the command line.
test-airflow: .venv/.installed .venv-airflow/.installed
	COMMAND_FOR_TESTS="$(CURDIR)/$(BIN)/neopulse" .venv-airflow/bin/pytest -c integrations/airflow/pytest.ini integrations/airflow

.venv-airflow/.installed: integrations/airflow/requirements.txt integrations/airflow/constraints.txt
	@echo "making .venv-airflow (once; a few minutes)"
	@$(PYTHON) -m venv .venv-airflow
	@.venv-airflow/bin/pip install --quiet --disable-pip-version-check -r $< -c integrations/airflow/constraints.txt
	@touch $@

test-bigquery-live: .venv/.tested-with
	$(BIN)/pytest -rs tests/integration/test_bigquery_live.py

.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "neopulse needs Python 3.11 or newer; $(PYTHON) is older. Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make environments. On Debian or Ubuntu: apt install python3-venv; then the same command" >&2; exit 2; }
	@echo "making .venv (once; a minute or two)"
	@$(PYTHON) -m venv .venv
	@touch $@

# pip compiles one file after the other; all processors do it in half the time. What a package ships for another Python stays as it is.
INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
COMPILE = $(BIN)/python -m compileall -qq -j 0 .venv/lib || true

.venv/.installed: .venv/.made pyproject.toml constraints.txt
	@$(INSTALL) -e .
	@$(COMPILE)
	@touch $@

# With the tools of the tests from the start, where nothing is installed yet: else pip would look everything up twice.
.venv/.tested-with: .venv/.made pyproject.toml constraints.txt
	@$(INSTALL) -e '.[dev]'
	@$(INSTALL) --no-deps $(PEERS)
	@$(COMPILE)
	@touch .venv/.installed $@
