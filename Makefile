# What to type. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# What the embedded stages need to run, and a C compiler for crates that build C.
PACKAGES := gcc libc6-dev libflite1 libpocketsphinx3 pocketsphinx-en-us
# What only tests need: a PostgreSQL to keep calls in, a Prometheus that reads the counters, a clock
# that steps. Without them those tests are skipped.
TEST_PACKAGES := postgresql prometheus faketime python3-venv
CARGO := cargo
# Features that are off by default: .ci/run sets them, so that everything is built once, with all of it.
FEATURES :=
# What benches compare with takes a sixth of the time to build: its tests run with them.
TESTED := --workspace --exclude offhook-benches
# Four to a core: .config/nextest.toml says which tests take how many.
THREADS := $(shell expr 4 \* $$(nproc))
# Where cargo builds.
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help setup-tests demo demo-providers run test console looks fuzz conformity attacks forged sdks servers spoken foreign bench faults load loaded compare drain kept history killed peers scenes turns lint fixtures docs docs-figures layers setup

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

setup-tests: setup ## install what tests of other programs need, too (moto from PyPI into target/: a server of S3's protocol)
	@bash .ci/setup $(TEST_PACKAGES)
	@[ -x $(TARGET)/objects/bin/moto_server ] || { python3 -m venv $(TARGET)/objects && $(TARGET)/objects/bin/pip install --quiet "moto[server]"; } \
	  || echo "moto can't be installed from PyPI: tests with a bucket are skipped"

setup: ## install what is missing on Debian or Ubuntu (asks for nothing, says what and why)
	@bash .ci/setup $(PACKAGES)

demo: setup ## a phone call on this machine: a server, and a recorded caller who orders pizza
	@echo "building (some minutes the first time)"
	@$(CARGO) build --quiet --bin offhook
	@$(TARGET)/debug/offhook demo --out demo-out

demo-providers: setup ## the same call four times, served by doubles of network providers at published latencies
	@echo "building (some minutes the first time)"
	@$(CARGO) build --quiet --bin offhook
	@$(TARGET)/debug/offhook demo --providers --out demo-out

run: setup ## answer calls on port 5000 with the embedded agent; prints the console's address: talk to it in your browser
	@$(CARGO) run --bin offhook -- serve --show --record calls

test: setup-tests ## all tests
	@if cargo nextest --version >/dev/null 2>&1; then \
	  $(CARGO) nextest run $(TESTED) $(FEATURES) --no-fail-fast --test-threads $(THREADS) && \
	  $(CARGO) test $(TESTED) $(FEATURES) --doc --quiet; \
	else $(CARGO) test $(TESTED) $(FEATURES) --no-fail-fast; fi

console: setup ## the console's types, logic, and the page in a real browser (installs Chromium; tools into target/)
	@bash .ci/console

looks: setup ## the console's reference pictures, made again: every view in both themes, on a desk and a phone
	@LOOKS=update bash .ci/console

fuzz: setup ## each parser that meets the outside under libFuzzer for a minute (FOR=60)
	@bash .ci/fuzz $(or $(FOR),60)

attacks: setup ## hundreds of attacks on a server, over all layers, with five good calls beside each (some minutes; ONLY=word)
	@$(CARGO) build --release --quiet --bin offhook
	@$(CARGO) run --release --quiet --package offhook-benches --example attacks -- $(TARGET)/release/offhook $(if $(ONLY),--only $(ONLY))

forged: setup ## what an echo's frames wait with 2 000 forged requests a second beside it, and without
	@bash benches/forged.sh

conformity: setup ## the API against its OpenAPI document (schemathesis, from PyPI into target/)
	@bash .ci/schemathesis $(or $(EXAMPLES),40)

sdks: ## the vendors' own clients (installed from PyPI into target/) against our doubles of their services
	@$(CARGO) build --quiet --bin offhook
	@python3 -m venv $(TARGET)/sdks
	@$(TARGET)/sdks/bin/pip install --quiet openai anthropic deepgram-sdk assemblyai elevenlabs cartesia cohere google-genai mistralai websockets
	@$(TARGET)/debug/offhook doubles --port 5051 --profile instant >/dev/null & doubles=$$!; trap "kill $$doubles" EXIT; \
	  sleep 1; $(TARGET)/sdks/bin/python crates/doubles/sdks.py 5051

servers: ## the adapters with real servers: llama.cpp, faster-whisper, Piper (installed from PyPI into target/, some 900 MB)
	@bash .ci/servers

spoken: ## 181 texts, made speakable, spoken and read back by a recogniser (faster-whisper from PyPI into target/; some minutes)
	@bash .ci/spoken

foreign: setup-tests ## servers that others wrote (from PyPI and npm, installed into target/): for ConversationRelay, and of MCP
	@python3 -m venv $(TARGET)/foreign
	@$(TARGET)/foreign/bin/pip install --quiet "twilio-agent-connect[server]" mcp-server-time
	@mkdir -p $(TARGET)/foreign-npm
	@npm install --silent --prefix $(TARGET)/foreign-npm @modelcontextprotocol/server-everything twilio express ws
	@$(CARGO) nextest run --package offhook --filterset 'test(foreign::) + test(mcp::real::)'

bench: setup ## criterion benches
	@$(CARGO) test --package offhook-benches --lib --quiet
	@$(CARGO) bench --package offhook-benches

lint: layers ## format, clippy, documentation, licences
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace $(FEATURES) --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace $(FEATURES) --no-deps --locked --quiet
	@if cargo deny --version >/dev/null 2>&1; then $(CARGO) deny --log-level error check bans licenses sources; \
	else echo "cargo-deny is missing, licences were not checked: cargo install cargo-deny --locked"; fi

layers: ## the core has no I/O: its crates must not depend on tokio, mio or rand
	@for crate in mulaw audio twilio resample stage-api endpoint speakable conversation media-line relay-line tape script; do \
	  if $(CARGO) tree --edges normal --package offhook-$$crate --no-default-features --prefix none | grep -E '^(tokio|mio|rand) '; then \
	    echo "offhook-$$crate must not depend on this"; exit 1; fi; done; echo "layers: the core has no I/O"

scenes: ## how well turns are taken: hundreds of scenes on a virtual line
	@$(CARGO) run --release --quiet --package offhook-testkit --example scenes

turns: ## how turns are taken in calls at network providers' latencies, by six voices on a virtual line
	@bash .ci/setup flite espeak-ng sox
	@bash benches/turns/clips.sh
	@$(CARGO) run --release --quiet --package offhook-testkit --example turns -- $(TARGET)/turns/clips.jsonl

faults: setup ## hundreds of faults of providers, rehearsed in real time on this machine (some minutes, with nothing else to do)
	@$(CARGO) test --release --package offhook --bin offhook rehearsal -- --ignored

load: setup ## calls per core: server and load on a core each, more and more calls (some minutes); PEERS=1: and other engines
	@bash benches/load.sh ours $(if $(PEERS),peers)

drain: setup ## a server is told to stop with 200 calls: nobody is cut, every record is whole (half a minute)
	@$(CARGO) build --release --quiet --bin offhook
	@bash benches/drain.sh

kept: setup ## what keeping calls (tapes, sound, documents, encrypted, traces) costs the workers at 300 calls (some minutes)
	@$(CARGO) build --release --quiet --bin offhook
	@bash benches/kept.sh

history: setup-tests ## 10 000 calls in SQLite and PostgreSQL: how long list, search and show take (half a minute)
	@$(CARGO) bench --quiet --package offhook-store --bench history

killed: setup ## a server of 200 calls is killed a hundred times: what was over is kept once, sound and tapes go up to the crash
	@$(CARGO) nextest run --package offhook --run-ignored only --no-capture killed::a_hundred_kills

peers: setup ## other engines' calls per core, the same way (Pipecat and rustvani, installed into target/)
	@bash benches/load.sh peers

compare: setup ## what a call costs in two builds of the server, in turns: BEFORE=path of the other `offhook` (some minutes)
	@$(CARGO) build --release --quiet --bin offhook
	@bash benches/compare.sh $(or $(BEFORE),$(error BEFORE=path of the other offhook)) $(TARGET)/release/offhook

loaded: ## how long frames wait, and how late sound leaves, at 70 % of a core (some minutes)
	@$(CARGO) bench --quiet --package offhook-benches --bench loaded

fixtures: ## make the callers' sound anew (needs flite and sox)
	@bash .ci/setup flite sox
	@bash fixtures/make.sh

docs-figures: ## draw the curves and pictures of docs/dsp.md
	@$(CARGO) run --release --quiet --package offhook-benches --example figures -- docs/figures
	@$(CARGO) build --release --quiet --bin offhook
	@$(TARGET)/release/offhook vad fixtures/callers/noisy.wav --picture docs/figures/vad.png >/dev/null

docs: ## this project's API documentation
	@$(CARGO) doc --workspace --no-deps
