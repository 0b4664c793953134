# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= formarium-runs

.PHONY: help demo test lint types tests format docs bench prove-all clean

help:
	@echo "make demo       install, and put one claim of PolyCom and one of CARoPE to the proof (minutes)"
	@echo "make test       install, and lint, check types and run all tests"
	@echo "make docs       build the documentation below site-build/"
	@echo "make bench      time everything against public peers and rewrite docs/benchmarks/"
	@echo "make prove-all  put every claim to the proof at laptop scale and rewrite records/ (hours)"

$(VENV)/base: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[language]'
	touch $@

$(VENV)/dev: $(VENV)/base
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/base
	$(BIN)/formarium prove polycom/polynorm-beats-swiglu carope/longer-context --scale demo --out $(OUT)

test: lint types tests

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev
	$(BIN)/mypy

tests: $(VENV)/dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

format: $(VENV)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/base
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	$(BIN)/python docs/make_pages.py
	$(BIN)/mkdocs build --strict --site-dir site-build

bench: $(VENV)/dev
	$(BIN)/python -m pip install --quiet -c constraints.txt x-transformers torch_geometric rdkit
	for name in language forecasting graphs links; do \
	  $(BIN)/python benchmarks/$$name.py --write docs/benchmarks/$$name.md || exit $$?; \
	done

prove-all: $(VENV)/dev
	for paper in $$($(BIN)/formarium papers --state built --json | $(BIN)/python -c 'import json, sys; print(*(p["slug"] for p in json.load(sys.stdin)))'); do \
	  $(BIN)/formarium prove $$paper --scale laptop --out $(OUT) --records records || exit $$?; \
	done

clean:
	rm -rf $(VENV) site-build $(OUT) .mypy_cache .ruff_cache .pytest_cache
