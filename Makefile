# `make help` lists what there is. PYTHON names another interpreter, PORT another port, ARGS more pytest options.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test test-sqlite test-postgres test-newest check check-scripts fix docs words types pictures lock fuzz bench chaos simulate clean

VENV := .venv
NEWEST := .venv-newest
NODE_MODULES := node_modules
PIP_OPTIONS := --quiet --disable-pip-version-check --require-hashes
PYTEST := -m pytest -n 2 --dist loadgroup -q $(ARGS)

# A stamp says that an environment holds exactly what a lock file lists.
RUN_STAMP := $(VENV)/run.stamp
DEV_STAMP := $(VENV)/dev.stamp
NEWEST_STAMP := $(NEWEST)/dev.stamp
NODE_STAMP := $(NODE_MODULES)/made.stamp

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUN_STAMP) ## start everything on this machine: PORT=8000 WORKERS=2 SLOTS=4
	@exec $(VENV)/bin/python manage.py up $(if $(PORT),--port $(PORT)) $(if $(HOST),--host $(HOST)) \
		$(if $(WORKERS),--workers $(WORKERS)) $(if $(SLOTS),--slots $(SLOTS))

test: test-sqlite test-postgres test-newest ## run all tests on SQLite and PostgreSQL, and on the newest Python found

test-sqlite: $(DEV_STAMP) ## run all tests on SQLite
	@echo "== SQLite, $$($(VENV)/bin/python -V)"
	@$(VENV)/bin/python $(PYTEST) --db=sqlite

test-postgres: $(DEV_STAMP) ## run all tests on a PostgreSQL started for them
	@echo "== PostgreSQL, $$($(VENV)/bin/python -V)"
	@$(VENV)/bin/python $(PYTEST) --db=postgres

test-newest: ## run all tests on the newest Python from 3.12 on with the newest Django, if there is one
	@if newest=$$(sh scripts/find_python.sh newest); then \
		$(MAKE) --no-print-directory $(NEWEST_STAMP) NEWEST_PYTHON="$$newest" && \
		echo "== SQLite, $$($(NEWEST)/bin/python -V), without the simulator" && \
		$(NEWEST)/bin/python $(PYTEST) --db=sqlite --ignore=tests/simulation && \
		echo "== PostgreSQL, $$($(NEWEST)/bin/python -V), without the simulator and whole processes" && \
		$(NEWEST)/bin/python $(PYTEST) --db=postgres --ignore=tests/simulation -m 'not e2e'; \
	else \
		echo "== No Python 3.12 or newer found: the newest Django was not tested."; \
	fi

check: $(DEV_STAMP) ## check format, lint, types, import directions, migrations and settings
	@echo "== format"; $(VENV)/bin/python -m ruff format --check --quiet . || { echo "Run: make fix"; exit 1; }
	@echo "== lint"; $(VENV)/bin/python -m ruff check --quiet .
	@echo "== types"; TASKDIST_SECRET_KEY=unused $(VENV)/bin/python -m mypy
	@echo "== imports"; $(VENV)/bin/lint-imports --no-cache
	@echo "== migrations"; TASKDIST_SECRET_KEY=unused $(VENV)/bin/python manage.py makemigrations --check --dry-run
	@echo "== settings"; TASKDIST_SECRET_KEY=unused $(VENV)/bin/python manage.py check --fail-level WARNING
	@$(MAKE) --no-print-directory check-scripts

check-scripts: $(DEV_STAMP) ## check the scripts of the pages: their generated types, and with Node.js their types and tests
	@echo "== generated types"; $(VENV)/bin/python scripts/write_types.py --check
	@if ! sh scripts/find_node.sh; then \
		echo "== scripts: left out, there is no Node.js 20 or newer with npm here"; \
	else \
		echo "== tests of scripts" && sh scripts/test_scripts.sh && \
		if $(MAKE) --silent --no-print-directory $(NODE_STAMP); then \
			echo "== types of scripts" && $(NODE_MODULES)/.bin/tsc --project tsconfig.json; \
		elif [ -n "$$CI" ]; then \
			echo "== types of scripts: the compiler could not be installed" && exit 1; \
		else \
			echo "== types of scripts: left out, the compiler could not be installed (is there a network?)"; \
		fi; \
	fi

fix: $(DEV_STAMP) ## format the code and repair what the linter can
	@$(VENV)/bin/python -m ruff check --fix --quiet . ; $(VENV)/bin/python -m ruff format .

docs: $(DEV_STAMP) ## write the pages that are made from the code
	@$(VENV)/bin/python scripts/write_settings_page.py

types: $(DEV_STAMP) ## write the types of scripts that are made from the Python classes
	@$(VENV)/bin/python scripts/write_types.py

words: $(RUN_STAMP) ## write locale/ anew from the sources, and say what is not translated yet
	@$(VENV)/bin/python scripts/write_words.py

pictures: $(DEV_STAMP) ## photograph every page of a live demo in both themes and two widths: OUT=var/pictures ARGS=
	@$(VENV)/bin/python -m tests.pictures $(if $(OUT),--out $(OUT)) $(ARGS)

lock: $(DEV_STAMP) ## pin the newest allowed version of every dependency, with hashes
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv
	@for lock in run dev; do \
		case $$lock in dev) more="--group dev -c requirements/run.lock";; *) more="";; esac; \
		$(VENV)/bin/uv pip compile pyproject.toml --upgrade --universal --python-version 3.11 --extra demo $$more \
			--generate-hashes --no-emit-index-url --no-header --quiet -o requirements/$$lock.lock || exit 1; \
	done
	@if sh scripts/find_node.sh; then \
		npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund --silent; \
	fi

fuzz: $(DEV_STAMP) ## let 20,000 mutated requests and 5,000 of schemathesis loose on both databases: COUNT=20000 SEED=1
	@$(VENV)/bin/python -m tests.fuzz $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED))

bench: $(DEV_STAMP) ## measure tasks a second with whole processes; JSON=FILE also writes the figures there
	@$(VENV)/bin/python -m benchmarks $(if $(JSON),--json $(JSON)) $(ARGS)

chaos: $(DEV_STAMP) ## kill everything under load, then count: MINUTES=5 DB=postgres SEED= ARGS=
	@echo "== chaos, $(or $(DB),postgres)"
	@$(VENV)/bin/python -m tests.chaos --minutes $(or $(MINUTES),5) --db $(or $(DB),postgres) \
		$(if $(SEED),--seed $(SEED)) $(ARGS)

simulate: $(DEV_STAMP) ## play many histories of a simulated installation: SEEDS=100000 FIRST=0
	@$(VENV)/bin/python -m tests.simulation --seeds $(or $(SEEDS),100000) --first $(or $(FIRST),0) $(ARGS)

clean: ## delete environments and caches; var/ stays
	@rm -rf $(VENV) $(NEWEST) $(NODE_MODULES) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- Environments ---------------------------------------------------------------------------------

# An environment whose Python no longer starts (it was removed, or the folder was moved) is made anew.
WORKS := import sys, pip; sys.exit(sys.version_info < (3, 11))
$(foreach venv,$(VENV) $(NEWEST),$(if $(wildcard $(venv)),$(shell \
	$(venv)/bin/python -c '$(WORKS)' >/dev/null 2>&1 || rm -rf $(venv)/*.stamp $(venv)/bin/python)))

$(VENV)/made.stamp:
	@if [ ! -x $(VENV)/bin/python ]; then \
		python=$$(sh scripts/find_python.sh) && echo "Making $(VENV) with $$python …" && \
		"$$python" -m venv --clear $(VENV); \
	fi
	@touch $@

$(RUN_STAMP): requirements/run.lock | $(VENV)/made.stamp
	@echo "Installing what it runs on …"
	@$(VENV)/bin/python -m pip install $(PIP_OPTIONS) -r $<
	@touch $@

$(DEV_STAMP): requirements/dev.lock | $(VENV)/made.stamp
	@echo "Installing what it is tested with …"
	@$(VENV)/bin/python -m pip install $(PIP_OPTIONS) -r $<
	@touch $@ $(RUN_STAMP)

$(NEWEST_STAMP): requirements/dev.lock
	@echo "Making $(NEWEST) with $(NEWEST_PYTHON) …"
	@"$(NEWEST_PYTHON)" -m venv --clear $(NEWEST)
	@$(NEWEST)/bin/python -m pip install $(PIP_OPTIONS) -r $<
	@touch $@

# The compiler that checks the scripts' types. The product neither needs nor contains it.
$(NODE_STAMP): package-lock.json
	@echo "Installing what the scripts are checked with …"
	@npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@
