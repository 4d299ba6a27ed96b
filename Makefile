# The commands that a newcomer needs. Each works on a fresh machine with Rust, git, make and a C compiler.
.PHONY: demo run test clients tools registries check prerequisites deny

# Runs the main job from end to end: a goal becomes an approved commit in a small repository.
demo: prerequisites
	cargo run --locked --quiet --package factory-http -- demo --yes

# Serves the API on port 8000 and works on the queue, until Ctrl-C.
run: prerequisites
	cargo run --locked --release --package factory-http -- serve

# Runs every test, the documentation's examples included.
test: prerequisites
	cargo test --locked --workspace

# Runs the tests of the API by programs of others, which need Python and npm. Where these are missing they stay ignored,
# but not in CI.
clients: prerequisites
	@if [ -n "$$CI" ] || { command -v python3 && command -v npm; } >/dev/null; then \
		$(MAKE) --no-print-directory tools && \
		cargo test --locked --package factory-http --test openapi -- --ignored; \
	else echo "the tests of the API by programs of others stay ignored: they need python3 and npm"; fi

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

# Runs the tests of real projects, which fetch from the registries of crates, npm and Python packages.
registries: prerequisites
	cargo test --locked --workspace --test real_projects --test environment -- --ignored --nocapture --test-threads=1

# Looks at what no test sees: format, lints, documentation, licences.
check: deny
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --locked --workspace --no-deps --document-private-items

deny:
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny@0.20.2
	cargo deny --locked check bans licenses sources

# Commands run in bubblewrap. Root installs it where it is missing; everybody else is told how by the program itself.
prerequisites:
	@command -v bwrap >/dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || \
		{ apt-get update -qq && apt-get install -y -qq bubblewrap; }
