# The commands of this project. What they need and do is explained in README.md and CONTRIBUTING.md.
# A new target: give it a rule here, a comment with two hash signs, and a place in .PHONY.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo serve build release release-check manual sbom deb deb-check reproducible test fmt clippy doc deny check fuzz fuzz-check miri asan valgrind leaks leaks-check faults soak docker-check page-check bench bench-document bench-check bench-baseline install clean

CARGO ?= cargo
APXS ?= apxs
TARGET := $(or $(CARGO_TARGET_DIR),target)
# The port of `make demo` and `make serve`.
PORT ?= 4433
export PORT

# Tools from crates.io. They run seldom: a build without optimisation takes a third of the time.
DENY := $(TARGET)/tools/bin/cargo-deny
CARGO_DEB := $(TARGET)/tools/bin/cargo-deb
CYCLONEDX := $(TARGET)/tools/bin/cargo-cyclonedx
$(DENY): VERSION := 0.20.2
$(CARGO_DEB): VERSION := 3.8.0
$(CYCLONEDX): VERSION := 0.5.9
$(DENY) $(CARGO_DEB) $(CYCLONEDX):
	CARGO_PROFILE_DEV_DEBUG=0 $(CARGO) install --quiet --debug --locked --root $(TARGET)/tools $(@F)@$(VERSION)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install the Debian packages that are missing
	@scripts/setup

demo: ## show what the module does, on a private httpd (PORT=4433)
	@scripts/setup demo
	@scripts/demo

serve: ## the same server, until Ctrl-C
	@scripts/setup demo
	@scripts/demo serve

build: ## the module and tokbind, for development
	@scripts/setup demo
	$(CARGO) build --workspace

# What is built says nothing about where: it is the same, bit for bit, wherever it is built (make reproducible).
RELEASE_FLAGS := --remap-path-prefix=$(CURDIR)=. --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=cargo

release: ## the module and tokbind as they are installed, in target/release
	@scripts/setup demo
	CARGO_INCREMENTAL=0 RUSTFLAGS='$(strip $(RUSTFLAGS) $(RELEASE_FLAGS))' $(CARGO) rustc --locked --release --lib --crate-type cdylib
	CARGO_INCREMENTAL=0 RUSTFLAGS='$(strip $(RUSTFLAGS) $(RELEASE_FLAGS))' $(CARGO) build --locked --release -p tokbind
	cp $(TARGET)/release/libmod_token_binding.so $(TARGET)/release/mod_token_binding.so

# The date of packages and manual pages is that of the sources. cargo is not told: it would build libraries again for each date.
EPOCH = $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null || date -r CHANGELOG.md +%s))

manual: ## manual pages and shell completions of tokbind, in target/manual
	@scripts/setup demo
	@rm -rf $(TARGET)/manual
	$(CARGO) run --locked --quiet -p tokbind --features manual --bin tokbind-manual -- \
	    $(TARGET)/manual "$$(date --utc --date=@$(EPOCH) +%F)"

sbom: $(CYCLONEDX) ## what is in the module and in tokbind: target/sbom (CycloneDX)
	@SOURCE_DATE_EPOCH=$(EPOCH) scripts/sbom

deb: release manual sbom $(CARGO_DEB) ## the Debian package, in target/debian
	@scripts/setup deb
	@SOURCE_DATE_EPOCH=$(EPOCH) scripts/deb

release-check: release ## the library of make release is hardened, and gives away one symbol
	MOD_TOKEN_BINDING_SO=$(abspath $(TARGET))/release/mod_token_binding.so $(CARGO) test --test httpd lifecycle::the_library

deb-check: release-check deb ## install the package in a fresh Debian, use it, and remove it (as root)
	@scripts/deb-check

reproducible: deb ## build once more elsewhere: the same, bit for bit
	@SOURCE_DATE_EPOCH=$(EPOCH) scripts/reproducible

# They wait more than they compute.
test: setup ## all tests, those against a real httpd included
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((2 * $$(nproc)))} $(CARGO) test --workspace --no-fail-fast

fmt: ## formatting
	$(CARGO) fmt --all --check

clippy: setup ## clippy, without a warning
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --test soak -- -D warnings

# Most of the module is private, and contributors read about it.
doc: setup ## rustdoc, without a warning
	RUSTDOCFLAGS='-D warnings -A rustdoc::private-intra-doc-links' $(CARGO) doc --workspace --no-deps --document-private-items

# The database of advisories is a git repository, which not every build machine can reach.
ADVISORIES := https://github.com/RustSec/advisory-db

deny: setup $(DENY) ## licences, sources and advisories of the dependencies (deny.toml)
	$(DENY) --locked check --hide-inclusion-graph bans licenses sources
	@if GIT_TERMINAL_PROMPT=0 timeout 30 git ls-remote --exit-code $(ADVISORIES) HEAD >/dev/null 2>&1; then \
	    $(DENY) --locked check advisories; \
	else \
	    echo "deny: advisories are NOT checked: $(ADVISORIES) cannot be reached from here"; \
	fi

check: fmt clippy doc deny test ## all that a change must pass

fuzz: ## look for inputs that break a rule (FUZZ_SECONDS=60 for each target, FUZZ_JOBS=2 at a time)
	@scripts/setup fuzz
	@scripts/fuzz run

fuzz-check: ## the same from the committed seeds alone, 20 s for each target
	@scripts/setup fuzz
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	@scripts/fuzz check

faults: setup ## break everything around the module, at every point of failure
	FAULTS=all $(CARGO) test --test httpd faults:: -- --show-output

# All of it, half for each of event and prefork.
SOAK_SECONDS ?= 1800
soak: setup ## full load, right and wrong, over restarts; each answer is checked (SOAK_SECONDS=1800)
	SOAK_SECONDS=$(SOAK_SECONDS) $(CARGO) test --test soak

asan: ## the tests' main paths with AddressSanitizer and UndefinedBehaviorSanitizer in the module
	@scripts/setup
	@scripts/asan

valgrind: ## the tests' main paths with httpd under valgrind's memcheck
	@scripts/setup valgrind
	@scripts/valgrind

leaks: export LEAK_REQUESTS ?= 200000
leaks: export LEAK_CONNECTIONS ?= 20000
leaks: export LEAK_RESTARTS ?= 50
leaks: leaks-check ## memory stays flat: 200,000 requests, 20,000 connections, 50 restarts (LEAK_REQUESTS, LEAK_CONNECTIONS, LEAK_RESTARTS)

leaks-check: ## the same with less of everything, as in make test
	@scripts/setup
	$(CARGO) test --test httpd -- memory:: --nocapture --test-threads 1

miri: setup ## the crates' own code under Miri, which sees undefined behaviour and data races
	@scripts/miri

docker-check: ## build the Docker image and try its services, without Docker (takes root)
	@scripts/setup docker
	@scripts/docker-check

page-check: ## look at the test server's page with Chromium (takes root)
	@scripts/setup page
	@scripts/page-check

# The module is measured as it is installed. A client that is built without optimisation counts as well as any other.
# What threads share is measured in the process of the benchmark, as optimised as the module.
bench bench-document: OPTIMISED = $(foreach package,mod_token_binding sender-constraint token-binding tokbind serde_json openssl,--config 'profile.dev.package.$(package).opt-level=3')
BENCH = MOD_TOKEN_BINDING_SO=$(abspath $(TARGET))/release/mod_token_binding.so $(CARGO) $(OPTIMISED) bench --quiet --profile dev --bench performance --

bench: release ## what the module costs: instructions, time, memory, scale (a quarter of an hour; LONG=1: half an hour)
	@scripts/setup bench
	$(BENCH) report $(if $(LONG),--long)

bench-document: release ## the same, and its tables go into docs/performance.md
	@scripts/setup bench
	$(BENCH) report --write $(if $(LONG),--long)

bench-check: release ## no more instructions per request than benches/baseline.tsv records
	@scripts/setup bench
	$(BENCH) check

bench-baseline: release ## count them anew and record them
	@scripts/setup bench
	$(BENCH) baseline

# The module goes where apxs says. What else there is goes under PREFIX.
PREFIX ?= /usr/local
INSTALL := install -v -D -m 644

install: ## put what `make release` and `make manual` made where this machine's httpd and shells look for it
	@test -f $(TARGET)/release/mod_token_binding.so && test -f $(TARGET)/release/tokbind || { echo "run make release first" >&2; exit 1; }
	$(INSTALL) $(TARGET)/release/mod_token_binding.so "$(DESTDIR)$$($(APXS) -q LIBEXECDIR)/mod_token_binding.so"
	$(INSTALL) -m 755 $(TARGET)/release/tokbind "$(DESTDIR)$(PREFIX)/bin/tokbind"
	@if [ -d $(TARGET)/manual ]; then \
	    $(INSTALL) -t "$(DESTDIR)$(PREFIX)/share/man/man1" $(TARGET)/manual/*.1; \
	    $(INSTALL) $(TARGET)/manual/tokbind.bash "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/tokbind"; \
	    $(INSTALL) $(TARGET)/manual/_tokbind "$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_tokbind"; \
	    $(INSTALL) $(TARGET)/manual/tokbind.fish "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/tokbind.fish"; \
	else \
	    echo "Without manual pages and completions: make manual makes them"; \
	fi
	@available="$(DESTDIR)$$($(APXS) -q SYSCONFDIR)/mods-available"; \
	if [ -d "$$available" ]; then \
	    $(INSTALL) apache/token_binding.load "$$available/"; \
	    test -e "$$available/token_binding.conf" || $(INSTALL) apache/token_binding.conf "$$available/"; \
	    echo "Now: a2enmod token_binding && apachectl configtest && systemctl reload apache2"; \
	    echo "Over an older version restart apache2: a reload goes on with the module that is loaded"; \
	else \
	    echo "Now add to httpd.conf: LoadModule token_binding_module $$($(APXS) -q LIBEXECDIR)/mod_token_binding.so"; \
	fi

clean: ## remove all that was built
	$(CARGO) clean
