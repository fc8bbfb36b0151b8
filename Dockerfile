# The image of the operator: one static binary on an empty base image.
#
#   podman build --build-arg VERSION=… --build-arg REVISION=… --build-arg SOURCE_DATE_EPOCH=… .
#
# `make image` passes these arguments and can build a manifest list for several platforms. The default target of the builder
# must be musl, as in the Alpine images of Rust. `--build-arg FEATURES=otel` adds traces.
ARG BUILDER=docker.io/library/rust:1.95.0-alpine
ARG BASE=scratch

FROM ${BUILDER} AS build
WORKDIR /src
ARG SOURCE_DATE_EPOCH=0
# scripts/build-release reads FEATURES.
ARG FEATURES=
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} CARGO_INCREMENTAL=0

# Build the dependencies in a separate layer, which is rebuilt only when a manifest or the lock file changes.
COPY Cargo.toml Cargo.lock rust-toolchain.toml ./
COPY tests/cluster/Cargo.toml tests/cluster/
COPY scripts/build-release scripts/
RUN mkdir -p src tests/cluster/src benches/scale \
 && echo 'fn main() {}' | tee src/main.rs tests/cluster/src/main.rs benches/scale/main.rs >/dev/null \
 && touch src/lib.rs tests/cluster/src/lib.rs tests/main.rs tests/cluster/tests.rs \
 && scripts/build-release /tmp/stub \
 && rm -r src tests benches /tmp/stub

COPY . .
ARG REVISION=unknown
# `touch` makes the sources newer than the stubs, so that cargo rebuilds them.
# /manager is the path in the manifests of the Go operator.
RUN find src -name '*.rs' -exec touch {} + && scripts/build-release /out/dittofs-operator && ln -s dittofs-operator /out/manager

FROM ${BASE}
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="dittofs-operator" \
      org.opencontainers.image.description="Kubernetes operator that runs DittoFS file servers" \
      org.opencontainers.image.source="https://github.com/marmos91/dittofs" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=build /out/ /
# A numeric user, so that Kubernetes can verify that it is not root.
USER 65532:65532
ENTRYPOINT ["/dittofs-operator"]
