# Everything runs in a virtual environment of its own, made on first use.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python

# The tests without torch have one environment for each Python: make test-environments PYTHON=python3.13
SMALL_VENV = .venv-$(notdir $(PYTHON))

.PHONY: run test test-environments install-environments lint clean

run: $(VENV)/installed
	$(RUN) benchmarks/noise_robustness.py

test: $(VENV)/installed
	$(RUN) -m pytest

test-environments: install-environments
	$(SMALL_VENV)/bin/python -m pytest

install-environments: $(SMALL_VENV)/installed

lint: $(VENV)/installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

$(SMALL_VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(SMALL_VENV)
	$(SMALL_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(SMALL_VENV)/bin/python .ci/without_torch.py > $(SMALL_VENV)/requirements.txt
	$(SMALL_VENV)/bin/python -m pip install --quiet --constraint constraints.txt --requirement $(SMALL_VENV)/requirements.txt
	$(SMALL_VENV)/bin/python -m pip install --quiet --no-deps --editable .
	touch $@

clean:
	rm -rf $(VENV) .venv-python* build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
