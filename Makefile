# The commands of this project. What they need and do is explained in README.md and CONTRIBUTING.md.
# A new target: give it a rule here, a comment with two hash signs, and a place in .PHONY.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo serve build release test fmt clippy doc deny check fuzz fuzz-check docker-check page-check install clean

CARGO ?= cargo
APXS ?= apxs
TARGET := $(or $(CARGO_TARGET_DIR),target)
# The port of `make demo` and `make serve`.
PORT ?= 4433
export PORT

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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

release: ## the module as it is installed: target/release/mod_token_binding.so
	@scripts/setup demo
	$(CARGO) rustc --release --lib --crate-type cdylib
	cp $(TARGET)/release/libmod_token_binding.so $(TARGET)/release/mod_token_binding.so

test: setup ## all tests, those against a real httpd included
	$(CARGO) test --workspace --no-fail-fast

fmt: ## formatting
	$(CARGO) fmt --all --check

clippy: setup ## clippy, without a warning
	$(CARGO) clippy --workspace --all-targets -- -D warnings

# Most of the module is private, and contributors read about it.
doc: setup ## rustdoc, without a warning
	RUSTDOCFLAGS='-D warnings -A rustdoc::private-intra-doc-links' $(CARGO) doc --workspace --no-deps --document-private-items

# Of cargo-deny nothing but this check is needed: a build without optimisation takes a third of the time.
DENY := $(TARGET)/tools/bin/cargo-deny
$(DENY):
	CARGO_PROFILE_DEV_DEBUG=0 $(CARGO) install --quiet --debug --locked --root $(TARGET)/tools cargo-deny@0.20.2

deny: setup $(DENY) ## licences and sources of the dependencies (deny.toml)
	$(DENY) --locked check --hide-inclusion-graph bans licenses sources

check: fmt clippy doc deny test ## all that a change must pass

fuzz: ## look for inputs that break a rule (FUZZ_SECONDS=60 for each target, FUZZ_JOBS=2 at a time)
	@scripts/setup fuzz
	@scripts/fuzz run

fuzz-check: ## the same from the committed seeds alone, 20 s for each target
	@scripts/setup fuzz
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	@scripts/fuzz check

docker-check: ## build the Docker image and try its services, without Docker (takes root)
	@scripts/setup docker
	@scripts/docker-check

page-check: ## look at the test server's page with Chromium (takes root)
	@scripts/setup page
	@scripts/page-check

install: ## put what `make release` made where this machine's httpd looks for it
	@test -f $(TARGET)/release/mod_token_binding.so || { echo "run make release first" >&2; exit 1; }
	install -D -m 644 $(TARGET)/release/mod_token_binding.so "$(DESTDIR)$$($(APXS) -q LIBEXECDIR)/mod_token_binding.so"
	@available="$(DESTDIR)$$($(APXS) -q SYSCONFDIR)/mods-available"; \
	if [ -d "$$available" ]; then \
	    install -v -m 644 apache/token_binding.load "$$available/"; \
	    test -e "$$available/token_binding.conf" || install -v -m 644 apache/token_binding.conf "$$available/"; \
	    echo "Now: a2enmod token_binding && apachectl configtest && systemctl reload apache2"; \
	else \
	    echo "Now add to httpd.conf: LoadModule token_binding_module modules/mod_token_binding.so"; \
	fi

clean: ## remove all that was built
	$(CARGO) clean
