# platformer/app-base:python: for apps that run on Python; what they import comes with them.
ARG APP_BASE=platformer/app-base
FROM ${APP_BASE}
LABEL org.opencontainers.image.title="platformer/app-base:python"
USER root
RUN apt-get update && \
    apt-get install --yes --no-install-recommends python3 && \
    rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*
# The tree is not the app's to write into everywhere, and logs are read while they are written.
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 BOOTSTRAP_IMAGE_ENV="PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED"
USER 10001:10001
