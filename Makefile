# The commands that a newcomer needs. Each works on a fresh machine with Rust, git, make and a C compiler.
.PHONY: demo run test clients browser tools bench registries check prerequisites deny

# Runs the main job from end to end: a goal becomes an approved commit in a small repository.
demo: prerequisites
	cargo run --locked --quiet --package factory-http -- demo --yes

# Serves the API on port 8000 and works on the queue, until Ctrl-C.
run: prerequisites
	cargo run --locked --release --package factory-http -- serve

# Runs every test, the documentation's examples included, and with them those that need programs of others.
test: prerequisites
	cargo test --locked --workspace
	cargo test --locked --package factory-http --features otel --test cli observed
	@$(MAKE) --no-print-directory clients browser

# Runs the tests of the API by programs of others, which need Python and npm. Where these cannot be had they stay ignored,
# but not in CI.
clients: prerequisites
	@$(call debian,python3 -c 'import ensurepip' && command -v npm,python3-venv npm) || [ -z "$$CI" ]
	@if $(MAKE) --no-print-directory tools; then \
		cargo test --locked --workspace --test openapi -- --ignored; \
	elif [ -n "$$CI" ]; then exit 1; \
	else echo "the tests of the API by programs of others stay ignored: these could not be installed"; fi

# Runs the test of the browser's port in a real browser. Where there is none it stays ignored, but not in CI.
browser: prerequisites
	@$(call debian,command -v chromium,chromium) || [ -z "$$CI" ]
	@if [ -n "$$CI" ] || command -v chromium >/dev/null; then \
		cargo test --locked --workspace --bin factory -- --ignored in_a_browser; \
	else echo "the test in a browser stays ignored: it needs chromium"; fi

# Installs these programs below target/, each in the version that is written down for it.
tools: target/tools/python/.ready target/tools/typescript/.ready

target/tools/python/.ready: factory-http/tests/openapi/requirements.txt
	rm -rf $(@D) && python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

target/tools/typescript/.ready: factory-http/tests/openapi/typescript/package-lock.json
	rm -rf $(@D) && mkdir -p $(@D) && cp $(<D)/package.json $< $(@D)
	npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

# Measures the server against the usual stack, for some minutes, and prints how it stands to what it is meant to reach.
bench: prerequisites target/tools/bench/.ready
	@$(call debian,command -v wrk,wrk)
	cargo build --locked --release --package factory-http
	target/tools/bench/bin/python bench/run.py $(BENCH)

target/tools/bench/.ready: bench/requirements.txt
	@$(call debian,python3 -c 'import ensurepip',python3-venv)
	rm -rf $(@D) && python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

# Runs the tests of real projects, which fetch from the registries of crates, npm and Python packages.
registries: prerequisites
	cargo test --locked --workspace --test real_projects --test environment -- --ignored --nocapture --test-threads=1

# Looks at what no test sees: format, lints, documentation, licences.
check: deny
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	cargo clippy --locked --package factory-http --features anthropic,otel --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --locked --workspace --no-deps --document-private-items

deny:
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny@0.20.2
	cargo deny --locked --all-features check bans licenses sources

# Commands run in bubblewrap. Root installs it where it is missing; everybody else is told how by the program itself.
prerequisites:
	@$(call debian,command -v bwrap,bubblewrap)

# $(call debian,COMMAND,PACKAGES) installs the packages where the command fails without them, as root on Debian alone.
debian = { $(1); } >/dev/null 2>&1 || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2); }
