# make bench: environment, default preset, leaderboard, report.   make test: environment, all checks.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: bench test test-slow lint types pytest speed speed-cells speed-images clean

# The report names failed cells, too: status 1 of the run is kept until it is written.
bench: $(VENV)/run.done
	@status=0; $(BIN)/python run_bench.py run || status=$$?; \
	if [ $$status -le 1 ]; then \
		printf '\nreport: '; \
		$(BIN)/python run_bench.py report results/quick || status=$$?; \
	fi; \
	exit $$status

test: lint types pytest

# A file's tests share what they set up: they stay in one process.
pytest: $(VENV)/check.done
	$(BIN)/pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

# Clusters, killed processes, full disks: a quarter of an hour.
test-slow: $(VENV)/slow.done
	$(BIN)/pytest -m slow

lint: $(VENV)/check.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=src $(BIN)/lint-imports --no-cache

types: $(VENV)/check.done
	$(BIN)/mypy

speed: $(VENV)/run.done
	$(BIN)/python -m tests.speed toy
	$(BIN)/python -m tests.speed steps

# Beside benchopt, an environment of its own with `pip install benchopt`: BENCHOPT=PATH/bin/benchopt.
speed-cells: $(VENV)/run.done
	$(BIN)/python -m tests.speed cells $(if $(BENCHOPT),--benchopt $(BENCHOPT))

# MNIST below the folder DATA; else random images.
speed-images: $(VENV)/run.done
	$(BIN)/python -m tests.speed images $(if $(DATA),--data-root $(DATA))

$(VENV)/run.done: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements.txt
	@touch $@

$(VENV)/check.done: requirements-dev.txt $(VENV)/run.done
	$(PIP) -r requirements-dev.txt
	@touch $@

$(VENV)/slow.done: requirements-slow.txt $(VENV)/check.done
	$(PIP) -r requirements-slow.txt
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
