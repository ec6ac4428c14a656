# What people type. Every target makes its own environment in .venv and installs what it needs there;
# a second run finds the stamp newer than pyproject.toml and is quick.
PYTHON ?= python3
BIN := .venv/bin
RUNDIR ?= run
COPY := build/compiled
CORE := tests/testing/test_build.py tests/tree tests/store/test_machine.py tests/store/test_run.py tests/security/test_mutations.py \
	$(addprefix tests/daemon/test_,at_once.py fuzz.py model.py operations.py ring.py server.py spots.py state.py transactions.py watches.py)
RIG ?= $(HOME)/.cache/rrdstore-rig
OVERLAY ?= $(RIG)/overlay
EXAMPLE := XENSTORED_PATH=$(abspath $(RUNDIR))/socket

.DEFAULT_GOAL := help
.PHONY: help run test coverage demo lint bench figures docs compiled test-compiled test-compiled-core wheel-compiled realxen realxen-overlay clean

help:  ## this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

run: .venv/stamp-run  ## the daemon in the foreground, its socket and store in ./run
	@mkdir -p -m 0700 $(RUNDIR)
	@echo "From another terminal:"
	@echo "  $(EXAMPLE) $(BIN)/xsadapter write /hello world"
	@echo "  $(EXAMPLE) xenstore-ls -f          (Debian's xenstore-utils)"
	@echo "  $(BIN)/rrdstore -C $(RUNDIR)/history.rrdb log"
	@echo "Stop with Ctrl-C."
	@exec $(BIN)/xsadapter run --rundir $(RUNDIR)

test: .venv/stamp-test  ## the whole suite
	$(BIN)/python -m pytest $(TESTS)

coverage: .venv/stamp-test  ## branches of the daemon's engine and commands that the tests take: more than 95 % of each
	rm -rf build/coverage
	mkdir -p build/coverage
	$(BIN)/python -m coverage run -m pytest -q $(addprefix tests/,daemon security stream faults recovery/test_written_down.py)
	$(BIN)/python -m coverage combine -q
	$(BIN)/python -m coverage json -q -o build/coverage/report.json
	$(BIN)/python tests/branches.py build/coverage/report.json

demo: .venv/stamp-run  ## a host's day in about a minute
	$(BIN)/python -m xsadapter.demo

lint: .venv/stamp-test  ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/stamp-test  ## the figures of docs/bench.md, on this machine
	$(BIN)/python -m pytest bench $(BENCH)

figures: .venv/stamp-test  ## the same and the long forms, into docs/bench.md: on a quiet machine, two hours
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	rm -f bench/results.json
	$(BIN)/python -m pytest bench --ignore bench/test_load.py
	$(BIN)/python -m bench.load --plot docs/pictures/load.svg
	$(BIN)/python -m bench.decade
	$(BIN)/python -m bench.decade --jump
	$(BIN)/python -m bench.results

docs: .venv/stamp-test  ## what the documentation has from the code: each script in docs writes the pages it owns
	set -e; for script in docs/*.py docs/*/*.py; do $(BIN)/python $$script; done

# A copy with an environment of its own, so that no extension ever lies beside the sources that are edited.
compiled:  ## a copy in build/compiled whose hot modules are compiled by mypyc: needs a C compiler, takes minutes
	mkdir -p $(COPY)
	rm -rf $(COPY)/rrdstore $(COPY)/xsadapter $(COPY)/tests $(COPY)/.venv/stamp-test
	git ls-files -z | xargs -0 cp --update --parents --target-directory=$(COPY)
	RRDSTORE_COMPILED=1 $(MAKE) -C $(COPY) .venv/stamp-test

test-compiled: compiled  ## the whole suite over that copy
	RRDSTORE_COMPILED=1 $(MAKE) -C $(COPY) test TESTS="--ignore=tests/repository $(TESTS)"

# What is most compiled and least like itself interpreted: trees, runs of commits, the daemon's requests, hostile ones too.
test-compiled-core: compiled  ## the part of it that CI runs
	RRDSTORE_COMPILED=1 $(MAKE) -C $(COPY) test TESTS="$(CORE)"

wheel-compiled: $(BIN)/pip  ## a wheel in dist with those modules, for this Python on this kind of machine
	RRDSTORE_COMPILED=1 $(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

# The overlay is what a Debian 12 host gets over its root (docs/xenstore.md). The rig needs qemu-system-x86, cpio and a
# gigabyte outside of the repository, and is not part of the tests.
realxen-overlay: .venv/stamp-test  ## the daemon, its dependencies and its unit for a Xen host, in OVERLAY
	rm -rf $(OVERLAY)
	tests/realxen/overlay.sh $(OVERLAY)

realxen: realxen-overlay  ## scenarios under the real hypervisor, emulated in RIG: an hour (SCENARIOS="host kill")
	OUT=$(RIG) tests/realxen/build.sh
	OUT=$(RIG) tests/realxen/systemd.sh $(RIG)/systemd
	OUT=$(RIG) tests/realxen/scenarios.sh $(SCENARIOS)

clean:  ## all that make has made, the store in ./run excepted
	rm -rf .venv build dist *.egg-info .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip is the last thing that venv installs: if it is there, the environment is whole.
$(BIN)/pip:
	$(PYTHON) -m venv .venv

.venv/stamp-run: pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/stamp-test: pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,dev]'
	@touch $@ .venv/stamp-run
