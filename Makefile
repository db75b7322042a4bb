# One charge, the tests, the deployment: `make help`.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

# Everything that is installed or made at run time lives here; nothing is global but Debian's packages.
HOME_HERE := .local
VENV := $(HOME_HERE)/venv
DEPLOY := $(HOME_HERE)/venv-deploy
NODE := $(HOME_HERE)/venv-node
TOOLS := $(HOME_HERE)/tools
STAMPS := $(HOME_HERE)/stamps
STEP := tests/tools/step
STACK_NAME ?= ev-charging

export PATH := $(CURDIR)/$(TOOLS)/bin:$(CURDIR)/$(NODE)/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
export PYTHONDONTWRITEBYTECODE := 1
# Where there is no account: checking a template needs a region's name, no more.
CHECK_REGION := eu-central-1
# What a machine without the internet has for OpenChargeMap: real data, served by a program of ours.
LOCAL = --bin-dir target/local --ocm-server target/local/ocm-server
# The tests' stack stands beside one of `make up`.
TEST_PORTS ?= 14000

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# ── Run ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

.PHONY: demo
demo: local-binaries ## One driver charges one car on a fresh stack, which stays up until Ctrl-C (ONCE=1: ends after the charge)
	@exec target/local/local run --quiet $(LOCAL) -- target/local/demo

.PHONY: up
up: local-binaries ## The stack alone, until Ctrl-C
	@exec target/local/local up $(LOCAL)

.PHONY: bench
bench: local-binaries ## The figures, as a table and in target/bench.json
	@exec target/local/local run --quiet $(LOCAL) -- target/local/bench

.PHONY: prove
prove: local-binaries ## The proofs at full size: nothing lost, nobody charged twice (ONLY=name: one of them)
	@target/local/prove --bin-dir target/local $(addprefix --only ,$(ONLY))

.PHONY: local-binaries
local-binaries: tools
	@$(STEP) "build the functions and the stack" cargo build --profile local --workspace --bins

# ── Check ────────────────────────────────────────────────────────────────────────────────────────────────────────────

.PHONY: test
test: tools test-template test-foundation test-rust ## All tests: templates, foundation, functions, and the whole stack end to end

.PHONY: test-template
test-template: tools
	@$(STEP) "cfn-lint template.yaml" $(DEPLOY)/bin/cfn-lint template.yaml
	@$(STEP) "sam validate --lint" $(DEPLOY)/bin/sam validate --lint --template template.yaml --region $(CHECK_REGION)
	@$(STEP) "expand template.yaml as a deployment does" $(DEPLOY)/bin/python iac/expand.py template.yaml

.PHONY: test-foundation
test-foundation: tools
	@$(STEP) "types of the foundation" npm --prefix iac run --silent check
	@$(STEP) "edge and key pair" npm --prefix iac run --silent test
	@$(STEP) "cdk synth" iac/node_modules/.bin/cdk synth --quiet
	@$(STEP) "cfn-lint on the foundation" $(DEPLOY)/bin/cfn-lint --ignore-checks W3005 -- target/cdk.out/*.template.json

.PHONY: test-rust
test-rust: tools
	@$(STEP) "build (debug)" cargo build --workspace --bins --examples
	@rm -rf $(HOME_HERE)/test
	@target/debug/local run --quiet --no-fsync --bin-dir target/debug --data $(HOME_HERE)/test --port-base $(TEST_PORTS) \
	    --ocm-server target/debug/ocm-server -- cargo nextest run --workspace --lib --test '*'

.PHONY: check
check: tools ## Format and lints
	@$(STEP) "cargo fmt" cargo fmt --all --check
	@$(STEP) "cargo clippy" cargo clippy --workspace --all-targets -- -D warnings

# ── Deploy ───────────────────────────────────────────────────────────────────────────────────────────────────────────

ARM := $(shell [ -d "$$(rustc --print sysroot 2>/dev/null)/lib/rustlib/aarch64-unknown-linux-gnu" ] && echo yes)
NOT_DEPLOYED := apigateway appsync lambda-host local local-template rds-data scratch tests
ARCHITECTURE := $(if $(ARM),--arm64,--x86-64)

.PHONY: build
build: tools ## Every function for AWS, into target/lambda/ (arm64; x86_64 where Rust's arm64 library is missing)
ifeq ($(ARM),)
	@echo 'Rust has no standard library for arm64 here, so this builds for x86_64, which serves to see that every function'
	@echo 'builds; template.yaml asks Lambda for arm64. For a deployment: rustup target add aarch64-unknown-linux-gnu'
endif
	@$(STEP) "cargo lambda build $(ARCHITECTURE)" env PATH="$(CURDIR)/$(DEPLOY)/bin:$$PATH" \
	    cargo lambda build --release $(ARCHITECTURE) --locked --bins --workspace $(addprefix --exclude ,$(NOT_DEPLOYED))
	@$(STEP) "join the GraphQL schema" cargo run --quiet -p local -- schema


.PHONY: deploy
deploy: build ## Foundation, application and edge, into the account of your AWS credentials
ifeq ($(ARM),)
	@echo 'Not deployed: the functions were built for x86_64, template.yaml asks for arm64 (see above).' >&2; exit 1
endif
	iac/node_modules/.bin/cdk deploy Foundation --outputs-file target/foundation.json
	$(DEPLOY)/bin/sam deploy --stack-name $(STACK_NAME) \
	    --parameter-overrides $$(node iac/parameters.js application target/foundation.json) $(SETTINGS)
	$(DEPLOY)/bin/python iac/migrate.py $(STACK_NAME)
	$(DEPLOY)/bin/sam list stack-outputs --stack-name $(STACK_NAME) --output json > target/application.json
	iac/node_modules/.bin/cdk deploy Edge $$(node iac/parameters.js edge target/application.json target/foundation.json)

# ── Set up ───────────────────────────────────────────────────────────────────────────────────────────────────────────

.PHONY: tools
tools: rust debian $(STAMPS)/venv $(STAMPS)/venv-deploy $(STAMPS)/node $(STAMPS)/iac $(STAMPS)/clients nextest mongodb ## Installs what is missing; done by the targets that need it

.PHONY: rust debian nextest mongodb
rust:
	@command -v cargo >/dev/null || { echo 'Rust is missing: install it from https://rustup.rs, then start again.' >&2; exit 1; }
debian:
	@tests/tools/debian
nextest:
	@command -v cargo-nextest >/dev/null || $(STEP) "build cargo-nextest (once, some minutes)" \
	    cargo install cargo-nextest --version 0.9.143 --locked --root $(TOOLS)
mongodb:
	@tests/tools/mongodb $(TOOLS)

$(STAMPS)/venv: tests/tools/requirements.txt | debian
	@$(STEP) "Python packages of the stack" tests/tools/python $(VENV) $<
	@mkdir -p $(STAMPS) && touch $@
$(STAMPS)/venv-deploy: tests/tools/requirements-deploy.txt | debian
	@$(STEP) "Python packages of the deployment" tests/tools/python $(DEPLOY) $<
	@mkdir -p $(STAMPS) && touch $@
$(STAMPS)/node: tests/tools/requirements-node.txt | debian
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null && npm --version >/dev/null 2>&1 || \
	    $(STEP) "Node.js" tests/tools/python $(NODE) $<
	@mkdir -p $(STAMPS) && touch $@
$(STAMPS)/iac: iac/package-lock.json | $(STAMPS)/node
	@$(STEP) "npm packages of the foundation" npm ci --prefix iac --ignore-scripts --no-audit --no-fund
	@mkdir -p $(STAMPS) && touch $@
$(STAMPS)/clients: tests/clients/package-lock.json | $(STAMPS)/node
	@$(STEP) "npm packages of the app clients" npm ci --prefix tests/clients --ignore-scripts --no-audit --no-fund
	@mkdir -p $(STAMPS) && touch $@

.PHONY: clean
clean: ## Removes the stack's data and what was made from sources, but not the installed tools
	@mkdir -p $(HOME_HERE)/data; flock --nonblock $(HOME_HERE)/data/lock true || \
	    { echo 'The stack is up: stop it with Ctrl-C first.' >&2; exit 1; }
	rm -rf $(HOME_HERE)/data $(HOME_HERE)/test $(HOME_HERE)/proofs target .aws-sam

.PHONY: clean-all
clean-all: clean ## Removes the installed tools, too (the MongoDB stand-in takes minutes to build again)
	rm -rf $(HOME_HERE) iac/node_modules tests/clients/node_modules
