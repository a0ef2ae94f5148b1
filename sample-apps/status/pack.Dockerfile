# `cargo pack status` packs the directory /artefact of this image.
ARG BASE_IMAGE=debian:bookworm-slim
ARG VERSION=1.0.0

FROM ${BASE_IMAGE} AS build
# Extracts Bottle, which is one file, and its licence. Installing the package would add Python, which the app's
# image provides, and the slim image would drop the licence.
WORKDIR /build
RUN apt-get update && \
    apt-get download python3-bottle && \
    dpkg-deb --extract python3-bottle_*.deb bottle && \
    rm -rf /var/lib/apt/lists/*
RUN install -D --mode=0644 --target-directory=/artefact bottle/usr/lib/python3/dist-packages/bottle.py && \
    install -D --mode=0644 bottle/usr/share/doc/python3-bottle/copyright /artefact/licences/bottle
COPY status.py services.py page.html /artefact/

FROM scratch
COPY --from=build /artefact /artefact
