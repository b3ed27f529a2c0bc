# What there is to do with this repository. `make help` lists it.

PROFILE ?= ci
CARGO ?= cargo
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
# With failpoints, so that tests can stop the runtime and the store at any step.
FEATURES := --features longshore-runtime/failpoints,longshore-store/failpoints,longshore-daemon/failpoints

.PHONY: help build test test-vm test-vm-short lint bench clean

help:
	@echo 'make build          the release binaries, in $(TARGET_DIR)/$(HOST)/release'
	@echo 'make test           all tests, as root; installs what they need'
	@echo 'make test-vm        the black-box suites in a virtual machine: cgroup v2 and AppArmor, then v1'
	@echo 'make test-vm-short  a few of them, cgroup v2 only'
	@echo 'make lint           formatting and clippy'
	@echo 'make bench          speed and memory beside runc, crun, dockerd and podman; BENCH="--only images" for one part'
	@echo 'make clean          removes what was built'

build:
	$(CARGO) build --release -p longshore-runtime -p longshore-daemon
	@ls -l $(TARGET_DIR)/$(HOST)/release/longshore-runtime $(TARGET_DIR)/$(HOST)/release/longshored

test:
	scripts/setup.sh
	scripts/test.sh $(PROFILE) $(FEATURES)

test-vm:
	scripts/test-vm.sh $(PROFILE) $(FEATURES)

test-vm-short:
	scripts/test-vm.sh --short $(PROFILE) $(FEATURES)

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets $(FEATURES) -- -D warnings

bench:
	scripts/setup.sh --bench
	scripts/bench.sh $(BENCH)

clean:
	$(CARGO) clean
