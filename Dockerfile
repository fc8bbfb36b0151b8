# The image of the operator: one static binary on an empty base.
#
#   podman build --build-arg VERSION=… --build-arg REVISION=… --build-arg SOURCE_DATE_EPOCH=… .
#
# `make image` passes the arguments, and makes a manifest list of several platforms. The builder's default target must be musl, as in Rust's Alpine images.
# With `--build-arg FEATURES=otel` traces are built in.
ARG BUILDER=docker.io/library/rust:1.95.0-alpine
ARG BASE=scratch

FROM ${BUILDER} AS build
WORKDIR /src
ARG SOURCE_DATE_EPOCH=0
# Read by scripts/build-release.
ARG FEATURES=
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} CARGO_INCREMENTAL=0

# The dependencies, in a layer of their own: built anew only when a manifest or the lock file changes.
COPY Cargo.toml Cargo.lock rust-toolchain.toml ./
COPY tests/cluster/Cargo.toml tests/cluster/
COPY scripts/build-release scripts/
RUN mkdir -p src tests/cluster/src \
 && echo 'fn main() {}' | tee src/main.rs tests/cluster/src/main.rs >/dev/null \
 && touch src/lib.rs tests/cluster/src/lib.rs tests/main.rs tests/cluster/tests.rs \
 && scripts/build-release /tmp/stub \
 && rm -r src tests /tmp/stub

COPY . .
ARG REVISION=unknown
# Newer than the stubs, whatever time the checkout has.
# The Go operator's manifests call it /manager.
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
# By number, so that Kubernetes can see that it is not root.
USER 65532:65532
ENTRYPOINT ["/dittofs-operator"]
