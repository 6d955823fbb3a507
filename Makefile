# Everything a newcomer needs: `make demo` runs the main job, `make test` passes the tests, `make quick` is for between two edits.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
# On plain Linux, TORCH_INDEX=https://download.pytorch.org/whl/cpu takes the CPU build of torch.
TORCH_INDEX ?=
APP    ?= 1
DEMO   ?= demo-workspace

.PHONY: setup check lint types test quick docs demo app bench clean system-packages

$(VENV)/.pip:
	$(PYTHON) -c 'import sys; sys.exit("Evenhand needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q -U "pip>=26,<27"
	touch $@

$(VENV)/.torch: $(VENV)/.pip constraints.txt
	$(PIP) install -q -c constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	touch $@

$(VENV)/.run: $(VENV)/.torch pyproject.toml constraints.txt
	$(PIP) install -q -c constraints.txt -e ".[model,app,report,server]"
	touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PIP) install -q -c constraints.txt --group dev
	touch $@

setup: $(VENV)/.dev

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy
	$(BIN)/mypy --config-file tests/mypy.ini

# Chromium and PostgreSQL come from Debian where we may install; elsewhere those tests skip and say so.
system-packages:
	@sh .ci/system-packages

test: $(VENV)/.dev system-packages
	$(BIN)/python -m pytest -n auto --dist loadfile

check: lint types test

# Lint, types and what builds no workspace and needs no browser and no server.
quick: lint types
	$(BIN)/python -m pytest -q -n auto -m "not slow and not browser and not postgres and not builds"

# Writes the generated pages and builds the site into site/; nothing is fetched.
docs: $(VENV)/.dev
	$(BIN)/python docs/make/commands.py
	$(BIN)/python docs/make/rooms.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

demo: $(VENV)/.run
	$(BIN)/evenhand demo $(DEMO)
ifneq ($(APP),0)
	$(BIN)/evenhand --workspace $(DEMO) app
endif

app: $(VENV)/.run
	$(BIN)/evenhand app

bench: $(VENV)/.dev
	@ls benchmarks/*.py; echo "Each is a script: $(BIN)/python benchmarks/NAME.py --help"

clean:
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
