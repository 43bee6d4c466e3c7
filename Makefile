# Each target sets itself up: `make results` on a fresh machine makes .venv, installs, and runs.
PYTHON ?= python3
CONFIG ?= config/default.yaml
BIN := .venv/bin

.PHONY: help results full test lint report evidence docs browser clean

help:
	@echo "make results               all laws of the default grid: runs, fits, figures and tables under results/"
	@echo "make results CONFIG=FILE   the same for another grid, such as config/smoke.yaml (minutes)"
	@echo "make full LAW=depth        one law of the full grid (hours, resumable)"
	@echo "make report                results/report.html: one offline file with every figure and table"
	@echo "make test                  linters, types, architecture and tests"
	@echo "make evidence              docs/evidence.md: what was measured of the claims that all results rest on (minutes)"
	@echo "make docs                  the manual as a web site under site/"
	@echo "make browser               that site and the report in headless Chromium, and the pictures of both in docs/images/"
	@echo "make clean                 remove generated results"

# made again when the requirements change
.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,hub,slurm,tensorboard]'
	touch $@

results: .venv/.installed
	$(BIN)/snakemake --configfile $(CONFIG)

full: .venv/.installed
	$(BIN)/snakemake results/figures/$(LAW).pdf results/tables/$(LAW).tex --configfile config/full.yaml

report: results
	$(BIN)/snakemake --configfile $(CONFIG) --report results/report.html

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

# one single-threaded process a core
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 8 --dist worksteal

evidence: .venv/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.evidence

docs: .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/mkdocs build --strict

# from Debian: apt-get install chromium
browser: docs report
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[browser]'
	SCREENSHOTS=docs/images $(BIN)/python -m pytest -m slow tests/test_browser.py

clean:
	rm -rf results/text results/runs results/shards results/logs results/tables results/fits results/figures results/records results/report.html
