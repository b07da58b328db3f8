# Two commands: `make demo` and `make test`. Both set up everything they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: demo test check bench bench-evidence lock clean

demo: $(STAMP)
	$(BIN)/geldspur demo --out demo
	$(BIN)/geldspur evidence demo --out demo/evidence --leads demo/leads

test: $(STAMP) check
	sh tools/oracles.sh $(VENV)
	$(BIN)/pytest -n 2

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/pip install -q --disable-pip-version-check blockchain-parser==0.1.6 python-bitcoinlib==0.11.0
	rm -rf build/bench && mkdir -p build/bench
	$(BIN)/geldspur simulate blocks --out build/bench/chain --txs 2000000
	$(BIN)/python benchmarks/parse.py build/bench/chain
	$(BIN)/python benchmarks/index.py build/bench/chain --append 144 --cold --work build/bench
	$(BIN)/geldspur index build/bench/chain --ledger build/bench/ledger
	$(BIN)/python benchmarks/joins.py build/bench/ledger
	$(BIN)/python benchmarks/lookup.py build/bench/ledger
	$(BIN)/python benchmarks/cli.py
	$(BIN)/python benchmarks/addresses.py

# VPDQ: a Python with vpdq 0.2.5, which builds with cmake and libav's headers; without it two comparisons are left out.
bench-evidence: $(STAMP)
	sh tools/oracles.sh $(VENV)
	mkdir -p build/bench
	$(BIN)/python benchmarks/inventory.py --work build/bench/inventory
	$(BIN)/python benchmarks/pdq.py
	$(BIN)/python benchmarks/lists.py --work build/bench/lists
	$(BIN)/python benchmarks/near.py
	[ -z "$(VPDQ)" ] || $(BIN)/python benchmarks/keyframes.py --peer $(VPDQ) --work build/bench/media
	[ -z "$(VPDQ)" ] || $(BIN)/python benchmarks/whole.py --peer $(VPDQ) --work build/bench/whole

$(STAMP): requirements.lock pyproject.toml tools/setup.sh
	PYTHON=$(PYTHON) sh tools/setup.sh $(VENV)
	touch $(STAMP)

# Needs uv; run after a change of the dependencies in pyproject.toml.
lock:
	uv pip compile --universal --python-version 3.11 --extra dev --extra images --extra custody --generate-hashes --no-annotate \
	  --no-header --prerelease if-necessary-or-explicit -o requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) demo build
