# platformer/app-base:python: for Python apps. Their artefact contains the packages that they import.
ARG APP_BASE=platformer/app-base
FROM ${APP_BASE}
LABEL org.opencontainers.image.title="platformer/app-base:python"
USER root
RUN apt-get update && \
    apt-get install --yes --no-install-recommends python3 && \
    rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*
# Python writes no bytecode into the unpacked artefact, and log lines appear without delay.
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 BOOTSTRAP_IMAGE_ENV="PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED"
USER 10001:10001
