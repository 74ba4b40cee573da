# `make demo` and `make test` do everything, set-up included, as root on Debian 12. `make help` lists the rest.
SHELL := /bin/bash
BIN   := .venv/bin
# Whatever the environment says: a test that compiled every module anew would take three times as long to begin.
unexport PYTHONDONTWRITEBYTECODE
# Where tests of the lab are: whoever collects only them begins seconds earlier.
LABS  := tests/lab tests/examples
SEEDS ?= 200
FIRST ?= 0
# The sites over which `make sim FAULTS=...` throws faults.
SITES ?= src/yaoki/sim/two-nodes.yaml $(sort $(wildcard tests/simulation/sites/*.yaml)) $(sort $(wildcard examples/*/site.yaml))

.PHONY: help setup demo check test test-long sim bench docs clean

help:       ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

setup:      ## install Debian packages, .venv and Python packages (quick the second time)
	@MAKECMDGOALS="$(MAKECMDGOALS)" scripts/setup

demo: setup ## rehearse examples/web-pair: real servers, real failures, the table of outages; a partition under a lease
	@$(BIN)/yaoki rehearse examples/web-pair/site.yaml
	@echo; echo "The same partition where the VIP is owned by lease (examples/lease-pair):"
	@$(BIN)/yaoki rehearse examples/lease-pair/site.yaml --only front-partition

check: setup ## ruff, mypy, import contracts, unit and property tests, no namespaces
	@$(BIN)/ruff format --check -q src tests bench scripts examples
	@$(BIN)/ruff check -q src tests bench scripts examples
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports >.venv/contracts.txt 2>&1 || { cat .venv/contracts.txt; exit 1; }
	@$(BIN)/pytest -q -n auto --dist worksteal -m "not netns and not peers and not lab and not campaign"

test: check ## check, then campaigns of the simulator, then the tests in network namespaces with real peers and the lab
	@$(BIN)/pytest -q -n auto --dist worksteal -m campaign
	@$(BIN)/pytest -q -n auto --dist loadfile -p no:randomly -m "(netns or peers) and not lab and not long"
	@$(BIN)/pytest -q -n auto --dist loadfile -p no:randomly -m "lab and company and not long" $(LABS)
	@$(BIN)/pytest -q -p no:randomly -m "lab and not company and not long" $(LABS)

test-long: setup ## rows of the rehearsal that a busy machine does not carry, and a virtual machine at the end of a tunnel
	@MAKECMDGOALS="$(MAKECMDGOALS)" scripts/setup qemu-system-x86 busybox-static kmod linux-image-amd64
	@$(BIN)/pytest -q -p no:randomly -m long

sim: setup  ## the simulated world: make sim SEEDS=1000, or so many faults over many sites: make sim FAULTS=100000 FIRST=0
ifdef FAULTS
	@$(BIN)/yaoki sim --dense --until-faults $(FAULTS) --first $(FIRST) --hours 0.25 $(addprefix --site ,$(SITES))
else
	@$(BIN)/yaoki sim --seeds $(SEEDS)
endif

bench: bench-control bench-vip bench-lb_program bench-lb bench-downloads ## every benchmark; BENCH_QUICK=1 for fewer runs

bench-lb: setup
	@MAKECMDGOALS="$(MAKECMDGOALS)" scripts/setup wrk iperf3 nftlb haproxy libnginx-mod-stream
	@$(BIN)/python -m bench lb

bench-%: setup
	@$(BIN)/python -m bench $*

docs: setup ## regenerate the generated pages and check every link
	@$(BIN)/python -m scripts.docs

clean:      ## remove what make made, and any lab left behind
	@[ ! -x $(BIN)/yaoki ] || $(BIN)/yaoki lab down --all 2>/dev/null || true
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build bench/results src/yaoki/linux/bpf/*.bpf.o src/yaoki/linux/maglev-*.so src/yaoki/lab/plays/*.bpf.o bench/*.bpf.o
	@find src tests bench scripts examples -name __pycache__ -prune -exec rm -rf {} +
