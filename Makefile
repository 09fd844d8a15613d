# make demo | make test | make check | make screenshots | make quick | make bench: each installs what it needs into .venv first.
# Nothing outside this folder is changed, except that on Debian and Ubuntu, as root, the missing package
# python3-venv is installed.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test check screenshots quick bench clean

demo: $(VENV)/.installed-elastix
	$(RUN) Resources/Demo/run_demo.py

test: check
	$(RUN) -m pytest -n 2 --dist worksteal --durations 25

# The checks that run nothing: style and types.
check: $(VENV)/.installed-test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

# The pictures of the panels, for the documentation.
screenshots: $(VENV)/.installed-test
	SCREENSHOTS_FOLDER=Testing/Screenshots $(RUN) -m pytest -q Testing/Python/test_panel_*.py

# A few runs of the capture range, under five minutes; fails on lost starts or a false verdict.
quick: $(VENV)/.installed-test
	$(RUN) Testing/Benchmarks/capture_range.py run --quick --jobs 2

# Hours; the capture range goes on where it was interrupted.
bench: $(VENV)/.installed-test
	$(RUN) Testing/Benchmarks/capture_range.py run --results Testing/Benchmarks/capture-range.jsonl
	$(RUN) Testing/Benchmarks/capture_range.py table --results Testing/Benchmarks/capture-range.jsonl
	$(RUN) Testing/Benchmarks/accuracy.py
	$(RUN) Testing/Benchmarks/overhead.py

$(VENV)/.made:
	sh Resources/Build/make_venv.sh "$(PYTHON)" "$(VENV)"
	touch $@

$(VENV)/.installed-%: pyproject.toml | $(VENV)/.made
	$(RUN) -m pip install --quiet --editable ".[$*]"
	touch $@

clean:
	rm -rf $(VENV) demo-output MultimodalRegistration/multimodal_registration.egg-info
