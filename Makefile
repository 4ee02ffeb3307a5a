# Everything a person types. Needs python3 (3.11 or newer) and make; the rest is fetched into .venv and .tools.
.DEFAULT_GOAL := help
.PHONY: help setup report test faults bench bench-record lint format pins clean

PYTHON ?= python3
BIN := .venv/bin
CODE := core sim experiments reports tests
BACKLOG ?= 1000000
MODEL_TASKS ?= 100000
RUNS ?= 3
# Some machines set it; then each of the many processes would compile all that it imports, at every start.
unexport PYTHONDONTWRITEBYTECODE
EDITION = $(if $(REPORT_LANG),--lang $(REPORT_LANG))

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/make \1\t\2/p' Makefile | expand -t 14

setup:  ## install what is needed into .venv and .tools (the other targets do this by themselves)
	@$(PYTHON) .ci/bootstrap

report: setup  ## run the experiments in short, write the report to reports/latest (6 minutes; REPORT_LANG=en or zh: one edition)
	@$(BIN)/python -m experiments.report $(EDITION)

.PHONY: report-full
report-full: setup  ## the same at the stated sizes, into reports/full (50 minutes on two cores; goes on where it was stopped)
	@$(BIN)/python -m experiments.report --full $(EDITION)

test: lint  ## lint, check types and import contracts, run all tests and notebooks against a real etcd
	@$(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest --numprocesses=3 --benchmark-skip --nbmake tests notebooks

faults: setup  ## run the slow fault tests with real processes
	@$(BIN)/python -m pytest -m slow_faults tests

bench: setup  ## run the benchmarks: one table, and the gate (minutes; want a quiet machine)
	@$(BIN)/python -m pytest --benchmark-only --benchmark-quiet --timeout=1800 --gate \
		--backlog=$(BACKLOG) --model-tasks=$(MODEL_TASKS) tests/bench

bench-record: setup  ## renew what the gate compares with: make bench-record REASON="why"
	@$(BIN)/python -m tests.bench.record --reason "$$REASON" --runs $(RUNS) --only $(ONLY)

.PHONY: curves
curves: setup  ## measure scaling curves: knee and binding resource (10 to 15 minutes; QUICK=1: 2; want a quiet machine)
	@$(BIN)/tandem-bench curves $(if $(QUICK),--quick)

.PHONY: validate
validate: setup  ## compare the model with the real system (30 minutes; QUICK=1: 6; goes on where it was stopped)
	@$(BIN)/tandem-bench validate $(if $(QUICK),--quick)

.PHONY: notebooks
notebooks: setup  ## open the notebooks in a browser (the first time JupyterLab is fetched into .venv, some 100 MB)
	@$(BIN)/jupyter lab --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet jupyterlab
	@$(BIN)/jupyter lab --notebook-dir=notebooks $(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: catalogue
catalogue: setup  ## bring the translations (reports/locale) up to date with the texts; lists what is missing
	@$(BIN)/python -m reports.catalogue

.PHONY: browser
browser: setup  ## check the report's page in headless Chromium (apt-get install chromium); `make test` does where it is
	@command -v chromium chromium-browser google-chrome >/dev/null || { echo "no chromium: apt-get install chromium" >&2; exit 1; }
	@$(BIN)/python -m pytest tests/e2e/test_report_browser.py

lint: setup  ## check style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: setup  ## fix style and formatting where a tool can, and take outputs out of notebooks
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/python tests/notebook_files.py

pins: setup  ## renew the pinned versions in .ci/requirements*.txt from pyproject.toml
	@$(PYTHON) .ci/bootstrap --renew-pins

clean:  ## remove everything that was installed or generated
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .benchmarks \
		build dist *.egg-info reports/latest reports/full
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
