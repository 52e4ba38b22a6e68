PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

READERS ?= .readers
GUESTS ?= .guests
TYPESCRIPT := typescript@7.0.2

.PHONY: demo test slow readers guests faults check page docs davisinteractive clean

## set up, bring in the demo clip, and label it
demo: $(INSTALLED)
	$(BIN)/lis demo

## set up, and run the fast tests
test: $(INSTALLED)
	$(BIN)/pytest -n 2

## the long tests
slow: $(INSTALLED)
	$(BIN)/pytest -n 2 -m slow

## every format of exports, read by other people's programs (docs/export.md): 3 GB of environments, minutes to build
readers: $(INSTALLED)
	$(BIN)/python -m tests.readers.environments $(READERS)
	LIS_READERS=$(READERS) $(BIN)/pytest -m slow tests/readers

## the plug-ins of this repository, each with the package that it brings in, in an environment over ours: minutes
guests: $(INSTALLED)
	$(BIN)/python -m tests.guests.environments $(GUESTS)
	for python in $(GUESTS)/*/bin/python; do \
	    if [ -x $$python ]; then $$python -m pytest -n 2 -m slow tests/guests || exit 1; fi; done

## refused, killed, cut, flipped, filled up: hours; docs/reliability.md says what and with what outcome
faults: $(INSTALLED)
	for part in exhaust rot power; do $(BIN)/python -m tests.faults $$part || exit 1; done
	$(BIN)/python -m tests.faults fuzz --count 10000
	for part in kills rerun; do $(BIN)/python -m tests.faults $$part --count 1000 || exit 1; done
	for part in room held two clock; do $(BIN)/python -m tests.faults $$part --count 20 || exit 1; done

## linting, types, the contract between the layers
check: $(INSTALLED) page
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

## the types of what runs in a browser
page:
	@if command -v npx > /dev/null; then npx --yes --package $(TYPESCRIPT) tsc --project tasks/page; \
	else echo "NOT CHECKED for want of npx (Node.js): the types of what runs in a browser" >&2; fi

## what is made from the options themselves
docs: $(INSTALLED)
	$(BIN)/lis options > docs/options.md
	$(BIN)/lis options --luigi-cfg > luigi.cfg

## the official evaluation package: EvaluateInteractive needs its robot. It wants a scikit-learn of 2019 and builds
## against the numpy that is there, so pip must not resolve it; a C compiler is needed
davisinteractive: $(VENV)/.davisinteractive

$(VENV)/.davisinteractive: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt setuptools cython
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps davisinteractive==1.0.4
	$(BIN)/python -m pip install --quiet --constraint constraints.txt absl-py networkx pandas requests scikit-learn six
	$(BIN)/python -c "from stages.evaluation import official; official.Robot()._robot"
	touch $@

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[demo,dev]"
	touch $@

clean:
	rm -rf $(VENV) $(READERS) $(GUESTS) outputs/* data/demo/JPEGImages data/demo/Scribbles build
