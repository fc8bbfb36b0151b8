# DittoFS operator. `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/dittofs-operator
CARGO_DENY_VERSION := 0.20.2
CARGO_CYCLONEDX_VERSION := 0.5.9
CARGO_CYCLONEDX := $(CACHE)/tools/cargo-cyclonedx-$(CARGO_CYCLONEDX_VERSION)/bin/cargo-cyclonedx
CARGO_DENY := $(CACHE)/tools/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny

# Cargo may use another target directory (CARGO_TARGET_DIR, a configuration file), so ask cargo.
TARGET = $(shell cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
# A real server needs Linux, and only a real server can make shares.
FILES_SAMPLE = $(if $(filter Linux,$(shell uname)),share,files)
SAMPLES ?= config/samples/$(FILES_SAMPLE).yaml config/samples/percona.yaml
DEMO_FLAGS ?=
BENCH_FLAGS ?=
FUZZ ?= histories
# The tests mostly wait for the control plane and for servers to start, so more of them than cores run at the same time.
export RUST_TEST_THREADS ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 4 )))

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}'

.PHONY: run
run: build ## Run a local control plane, the operator, samples and a live table (with KUBECONFIG: your cluster)
	@"$(TARGET)/debug/local-control-plane" demo $(if $(KUBECONFIG),--use-existing,--real $(FILES_SAMPLE)) $(DEMO_FLAGS) \
	  --operator "$(TARGET)/debug/dittofs-operator" \
	  --apply crds/dittoservers.yaml $(foreach sample,$(SAMPLES),--apply $(sample))

.PHONY: test
test: control-plane ## Run every test on a real control plane
	@# The last test program, `rights`, must read only the audit logs of this run, not those of an earlier run.
	@rm -rf "$(or $(TARGET),target)/tmp/audit"
	cargo test --workspace --locked
	$(MAKE) test-otel

# All other tests run without the feature, as most users run the operator. This target runs only the tests that the feature adds or affects.
.PHONY: test-otel
test-otel: ## Run the tests of traces (cargo feature otel)
	cargo test --locked --features otel --lib --test behaviours -- traces:: telemetry:: otel:: canary::

.PHONY: fuzz
fuzz: ## Run a fuzz target with libFuzzer until it fails: FUZZ=specs, manifest_texts, histories or answers (nightly Rust, cargo-fuzz)
	cargo +nightly fuzz run $(FUZZ)

.PHONY: soak
soak: ## Run the long tests: 700 random sequences, the fuzz targets, all faults, the suite under load, its core on Kubernetes 1.33 and 1.35 (hours)
	@scripts/soak

# One test after the other, so that each table is in one piece.
.PHONY: chaos
chaos: control-plane ## Inject faults around the operator during everything that users do (hours; SCENARIO=edit runs one)
	CHAOS="$(or $(SCENARIO),all)" cargo test --locked --test behaviours -- --nocapture --test-threads=1 chaos::

# Compiles the release binary first. The figures are worth little on a busy machine.
.PHONY: bench
bench: ## Measure the operator with many servers; write docs/performance.md (hours; BENCH_FLAGS=--help)
	cargo bench --locked --bench scale -- $(BENCH_FLAGS)

.PHONY: build
build: ## Build the operator and the launcher of the local control plane
	cargo build --workspace --bins --locked

.PHONY: control-plane
control-plane: ## Find or build etcd, kube-apiserver and the other binaries (once; about ten minutes on two cores)
	cargo run --quiet --locked -p local-control-plane -- build

.PHONY: lint
lint: ## Check format, lints, dependencies and generated files
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --all-targets --features otel --locked -- -D warnings
	$(MAKE) deny generated

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all

.PHONY: generate
generate: ## Write the generated files again
	cargo run --quiet --locked -- crd > crds/dittoservers.yaml.new
	mv crds/dittoservers.yaml.new crds/dittoservers.yaml
	PACKAGING_WRITE=1 cargo test --quiet --locked --test behaviours -- packaging::generated::generated_files_are_up_to_date
	cargo run --quiet --locked -- reference > docs/reference.md.new
	mv docs/reference.md.new docs/reference.md
	INVARIANTS_WRITE=1 cargo test --quiet --locked --test behaviours -- invariants::the_page

.PHONY: golden
golden: ## Write the pod templates of this version again (tests/golden; only before its release)
	GOLDEN_WRITE=1 cargo test --quiet --locked --test behaviours -- golden::no_sample_would_restart

.PHONY: generated
generated: ## Fail if a generated file is stale
	@cargo run --quiet --locked -- crd | diff -u crds/dittoservers.yaml - \
	  || { echo 'crds/dittoservers.yaml is stale: run "make generate"'; exit 1; }
	@cargo run --quiet --locked -- reference | diff -u docs/reference.md - \
	  || { echo 'docs/reference.md is stale: run "make generate"'; exit 1; }

# The advisory database is a Git repository. If it cannot be reached, only the other checks run.
ADVISORY_DB := https://github.com/RustSec/advisory-db

.PHONY: deny
deny: $(CARGO_DENY) ## Check licences, sources, duplicate versions and advisories
	"$(CARGO_DENY)" --locked check bans licenses sources
	@if GIT_TERMINAL_PROMPT=0 timeout 20 git ls-remote -q $(ADVISORY_DB) HEAD >/dev/null 2>&1; \
	then "$(CARGO_DENY)" --locked check advisories; \
	else echo 'advisories NOT checked: $(ADVISORY_DB) cannot be reached from here'; fi

$(CARGO_DENY):
	cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked --root $(CACHE)/tools/cargo-deny-$(CARGO_DENY_VERSION)

.PHONY: image
image: ## Build the image (buildah, podman or docker; IMAGE_FLAGS='--platform linux/arm64'; FEATURES=otel adds traces)
	@scripts/image $(IMAGE_FLAGS)

.PHONY: image-checksums
image-checksums: ## Write the checksums of the binaries in a pushed image, IMAGE (podman or docker)
	@scripts/image-checksums "$(IMAGE)" "$(TARGET)/image"

.PHONY: image-check
image-check: ## Build the binary of the image twice; check that it is reproducible, static, small and self-contained
	@scripts/image-check "$(TARGET)/image"

.PHONY: image-local
image-local: image-check ## Check the image with buildah and a local builder image, without a registry (root, Linux)
	@scripts/image-local "$(TARGET)/image/dittofs-operator"

# One SBOM for the image: it lists the dependencies of the operator, not those of the tests.
.PHONY: sbom
sbom: $(CARGO_CYCLONEDX) ## Write the CycloneDX SBOM of the operator to target/sbom
	@mkdir -p "$(TARGET)/sbom"
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) "$(CARGO_CYCLONEDX)" cyclonedx --format json --spec-version 1.5 \
	  --no-build-deps --target all --describe binaries $(if $(FEATURES),--features "$(FEATURES)") --quiet
	@rm -f tests/cluster/*.cdx.json
	@# Remove the path of the checkout from the published file.
	@sed 's|file://$(CURDIR)|file:///src|g' dittofs-operator_bin.cdx.json >"$(TARGET)/sbom/dittofs-operator.cdx.json"
	@rm dittofs-operator_bin.cdx.json
	@echo "$(TARGET)/sbom/dittofs-operator.cdx.json"

$(CARGO_CYCLONEDX):
	cargo install cargo-cyclonedx --version $(CARGO_CYCLONEDX_VERSION) --locked --root $(CACHE)/tools/cargo-cyclonedx-$(CARGO_CYCLONEDX_VERSION)

.PHONY: release-check
release-check: ## Check whether this commit may be released
	@scripts/release-check

.PHONY: clean
clean: ## Remove the build output (keeps the cached control plane, see README)
	cargo clean
