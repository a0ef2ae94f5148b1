# `cargo pack bakery` packs the directory /artefact of this image.
ARG BASE_IMAGE=debian:bookworm-slim
ARG VERSION=1.0.0

FROM ${BASE_IMAGE} AS build
# The Java package needs this directory, which the slim image lacks.
RUN mkdir -p /usr/share/man/man1 && \
    apt-get update && \
    apt-get install --yes --no-install-recommends openjdk-17-jdk-headless && \
    rm -rf /var/lib/apt/lists/*
# Extracts the jars of Jetty that serve servlets, and their licences. Installing the packages would add
# dependencies for web application containers, which this app doesn't need.
WORKDIR /build
RUN apt-get update && \
    apt-get download libjetty9-java libservlet-api-java && \
    for package in libjetty9-java libservlet-api-java; do \
        dpkg-deb --extract "$package"_*.deb debian && \
        install -D --mode=0644 "debian/usr/share/doc/$package/copyright" "/artefact/licences/$package" || exit 1; \
    done && \
    for jar in jetty9-http jetty9-io jetty9-security jetty9-server jetty9-servlet jetty9-util jetty9-util-ajax servlet-api; do \
        install -D --mode=0644 "debian/usr/share/java/$jar.jar" "/artefact/lib/$jar.jar" || exit 1; \
    done && \
    rm -rf /var/lib/apt/lists/*
COPY src src
# -try allows a file lock that the code holds but never reads.
# Classes instead of a jar keep the build reproducible: a jar contains time stamps.
RUN javac -Xlint:all,-try -Werror --release 17 -cp "/artefact/lib/*" -d /artefact/classes src/bakery/*.java

FROM scratch
COPY --from=build /artefact /artefact
