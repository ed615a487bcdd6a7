# `make help` is the map. Settings such as PORT, PLAYERS or SESSIONS come from the environment or the command line.

.DEFAULT_GOAL := help
BIN := .venv/bin
LOCAL := $(BIN)/python -m services.local
PACKAGES := .venv/.installed
NODE_PACKAGES := tests/frontend/node_modules/.installed
GENERATORS := tests/contract/generators/node_modules/.installed
GODOT := tests/clients/godot/node_modules/.installed
CODE := services migrations tests frontend/clients
# Strict, because a package that the service does not know is otherwise only mentioned, under "No known vulnerabilities found".
AUDIT := $(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off --vulnerability-service $(or $(ADVISORIES),pypi)
COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-header

.PHONY: help run dev up down reset admin boards import seed rebuild check test bench lint audit fmt lock docs clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' Makefile

run: $(PACKAGES) ## Run everything on this machine at http://localhost:8080 until Ctrl-C (PORT=8081 for another port)
	@$(LOCAL) run

dev: $(PACKAGES) ## The same, restarting services when their code changes, with their logs on the terminal
	@$(LOCAL) dev

# Services that run are stopped once the new ones are built: a migration may refuse to begin while they use the database.
up: ## Run everything in containers
	@docker compose build
	@docker compose stop auth leaderboard 2>/dev/null || true # there may be none
	@docker compose up --detach --wait
	@echo "The leaderboard is at http://localhost:$$(docker compose port gateway 8080 | sed 's/.*://') (make down stops it)"

down: ## Stop the containers; the data is kept
	@docker compose down

reset: ## Stop the containers and delete their data (that of `make run` is in .local/)
	@docker compose down --volumes

admin: $(PACKAGES) ## Make a user of the running system an admin: NAME=Ada (RESET=1: remove their lost second factor instead)
	@$(LOCAL) operate $(if $(RESET),reset-second-factor,give-role) '$(or $(NAME),$(error NAME=… says who))'

boards: $(PACKAGES) ## Make and change boards of the running system: FILE=boards.toml (DRY_RUN=1: tell only; DELETE=name: delete a closed one)
	@$(LOCAL) boards $(if $(DELETE),--delete '$(DELETE)',$(if $(DRY_RUN),--dry-run) $(if $(FILE),'$(FILE)'))

import: $(PACKAGES) ## Import game sessions into the running system: FILE=sessions.ndjson, or a CSV (DRY_RUN=1: tell only)
	@$(LOCAL) import $(if $(DRY_RUN),--dry-run) '$(or $(FILE),$(error FILE=… says what))'

seed: $(PACKAGES) ## Fill the running system with players (PLAYERS=200000) and game sessions (SESSIONS=1000000)
	@$(LOCAL) seed

rebuild: $(PACKAGES) ## Build the running system's ranking index anew, while it goes on
	@$(LOCAL) rebuild

check: $(PACKAGES) ## Compare the running system's sessions, standings and ranking index, row by row
	@$(LOCAL) check

# SERVERS=containers is for `test`, `bench` and `faults` alike: see tests/servers.py.
test: lint $(GENERATORS) $(GODOT) ## Check and test everything (SERVERS=containers: on the servers of compose.yaml, not the installed ones)
	@$(LOCAL) prerequisites test
	@$(BIN)/python -m pytest tests --ignore=tests/bench --numprocesses=2 --dist=loadfile --no-loadscope-reorder

bench: $(PACKAGES) ## Measure it against what its framework could do at most (QUICK=1: a smoke run; SCALE=1: a million players)
	@$(LOCAL) prerequisites bench
	@$(BIN)/python -m tests.bench

faults: $(PACKAGES) $(GODOT) ## Run the fault tests in their long form, and keep what they found (SERVERS as for test)
	@$(LOCAL) prerequisites test
	@$(BIN)/python -m pytest tests/faults --long --verbose --timeout=3600 --no-header

lint: $(PACKAGES) $(NODE_PACKAGES) ## Check style, types and imports
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports --no-logo
	@cd tests/frontend && node_modules/.bin/tsc --noEmit -p .

audit: $(PACKAGES) ## Look for vulnerabilities: known ones of what is locked (ADVISORIES=osv asks OSV, not PyPI), and risky code
	@$(BIN)/ruff check $(CODE) # its S rules are Bandit's
	@$(AUDIT) --requirement services/requirements.lock
	@$(AUDIT) --requirement requirements.lock

fmt: $(PACKAGES) ## Format the Python code
	@$(BIN)/ruff check --fix-only --quiet $(CODE)
	@$(BIN)/ruff format $(CODE)

lock: $(PACKAGES) ## Write the lock files from pyproject.toml (UPGRADE=1: with the newest versions)
	@$(COMPILE) $(if $(UPGRADE),--upgrade) --output-file services/requirements.lock
	@$(COMPILE) $(if $(UPGRADE),--upgrade) --extra dev --constraints services/requirements.lock --output-file requirements.lock

docs: $(PACKAGES) ## Write the tables of docs/settings.md and docs/api.md from the code
	@$(BIN)/python -m services.local.reference

clean: ## Delete what can be made again: packages and caches, never data or secrets
	@rm -rf .venv tests/frontend/node_modules tests/contract/generators/node_modules tests/clients/godot/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find $(CODE) -name __pycache__ -prune -exec rm -rf {} +

$(PACKAGES): requirements.lock
	@sh services/local/venv.sh

%/node_modules/.installed: %/package-lock.json | $(PACKAGES)
	@$(LOCAL) prerequisites lint
	@cd $* && npm ci --loglevel=error --no-audit --no-fund >/dev/null
	@touch $@
