# Viva's set-up. Every target may be repeated: what is done is not done again, and a step that was
# interrupted is redone. Stamps lie in .venv, so that they vanish with what they vouch for.

PYTHON ?= python3
# Set only on the command line (make serve PORT=9000). Taken from the environment, HOST would be
# whatever a shell or a compiler toolchain keeps there; VIVA_HOST and VIVA_PORT are ours.
HOST =
PORT =

VENV := .venv
BIN := $(VENV)/bin
# Compiling every module would cost most of the installation's time; the few that are used are
# compiled, once, when they are first imported.
INSTALL := $(BIN)/python -m pip install --no-compile -c constraints.txt
SERVE_OPTIONS = $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT))

define FIND_PYTHON
command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON) here. Install Python 3.11 or newer, or name yours: make PYTHON=python3.12 (and the target)" >&2; exit 1; }
endef

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Containers often set it; every start would then compile again what the installation did not.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help serve ingest models test test-all check bench audit clean free-port

help: ## list these targets
	@echo "make TARGET [PYTHON=python3.12]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' Makefile

serve: free-port ingest ## install, fetch the encoder, build the index and serve [PORT=8000] [HOST=127.0.0.1]
	@$(BIN)/viva serve $(SERVE_OPTIONS)

ingest: models ## check the notes and build the index
	@$(BIN)/viva ingest

models: $(VENV)/.local-stamp ## fetch the encoder's weights into the cache
	@$(BIN)/viva models fetch

test: $(VENV)/.test-stamp models ## run the tests, without the slow ones
	$(BIN)/python -m pytest -m 'not slow'

test-all: $(VENV)/.test-stamp models ## run every test
	$(BIN)/python -m pytest

check: $(VENV)/.dev-stamp ## check format, lint, types and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.test-stamp ingest ## run the benchmarks that need nothing but the notes
	$(BIN)/python -m benchmarks.retrieval --questions benchmarks/data/questions.jsonl
	$(BIN)/python -m benchmarks.ingest

audit: $(VENV)/.dev-stamp ## look the pinned dependencies up in the advisory databases
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip

clean: ## remove .venv and what tools leave behind; never your index or weights
	rm -rf $(VENV) dist build htmlcov .coverage .hypothesis
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

free-port:
	@$(FIND_PYTHON)
	@$(PYTHON) scripts/preflight.py serve '$(HOST)' '$(PORT)'

# --clear: an environment without its stamp was interrupted half-way. The newer pip resumes a
# download that breaks off; the one that comes with Python starts again.
$(VENV)/.made-stamp:
	@$(FIND_PYTHON)
	@$(PYTHON) scripts/preflight.py install .
	$(PYTHON) -m venv --clear $(VENV)
	$(INSTALL) --quiet --upgrade pip
	@touch $@

$(VENV)/.local-stamp: pyproject.toml constraints.txt | $(VENV)/.made-stamp
	$(INSTALL) -e '.[local]'
	@touch $@

$(VENV)/.test-stamp: $(VENV)/.local-stamp
	$(INSTALL) -e '.[local,test]'
	@touch $@

$(VENV)/.dev-stamp: $(VENV)/.local-stamp
	$(INSTALL) -e '.[local,dev]'
	@touch $@
