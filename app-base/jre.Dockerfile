# platformer/app-base:jre: for Java apps.
ARG APP_BASE=platformer/app-base
FROM ${APP_BASE}
LABEL org.opencontainers.image.title="platformer/app-base:jre"
USER root
# The Java package needs this directory, which slim images lack.
RUN mkdir -p /usr/share/man/man1 && \
    apt-get update && \
    apt-get install --yes --no-install-recommends openjdk-17-jre-headless && \
    rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*
USER 10001:10001
