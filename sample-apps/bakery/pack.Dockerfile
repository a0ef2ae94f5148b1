# What is packed as bakery: `cargo pack bakery` copies /artefact out of this image.
ARG BASE_IMAGE=debian:bookworm-slim
ARG VERSION=1.0.0

FROM ${BASE_IMAGE} AS build
# Java links its manual there, which a slim image has no directory for.
RUN mkdir -p /usr/share/man/man1 && \
    apt-get update && \
    apt-get install --yes --no-install-recommends openjdk-17-jdk-headless && \
    rm -rf /var/lib/apt/lists/*
# Of Jetty only what serves servlets, with its licence. It is fetched and not installed: what else
# Debian's Jetty depends on is for containers of web applications, which this is not.
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
# A lock is held and not looked at, which is what `try` would warn of.
# Classes and no jar of them: javac writes the same bytes each time, a jar has the time of day in it.
RUN javac -Xlint:all,-try -Werror --release 17 -cp "/artefact/lib/*" -d /artefact/classes src/bakery/*.java

FROM scratch
COPY --from=build /artefact /artefact
