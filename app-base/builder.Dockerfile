# platformer/builder: builds the static binaries in a container, for machines without Rust:
#
#   docker build -f app-base/builder.Dockerfile -t platformer/builder .
#   docker build -t platformer/app-base app-base
ARG RUST_IMAGE=rust:1.95-slim-bookworm
FROM ${RUST_IMAGE} AS build
WORKDIR /source
COPY . .
RUN target="$(uname -m)-unknown-linux-musl" && \
    rustup target add "$target" && \
    export "CC_$(echo "$target" | tr - _)=gcc" && \
    cargo build --locked --release --target "$target" --package bootstrap && \
    cargo build --locked --release --target "$target" --package repository && \
    install -D --target-directory=/binaries \
        "target/$target/release/bootstrap" "target/$target/release/repository"

FROM scratch
COPY --from=build /binaries /binaries
