# platformer/app-base:nginx: for apps that are files, or that stand behind nginx; the load balancer is built on it.
ARG APP_BASE=platformer/app-base
FROM ${APP_BASE}
LABEL org.opencontainers.image.title="platformer/app-base:nginx"
USER root
RUN apt-get update && \
    apt-get install --yes --no-install-recommends nginx-light && \
    rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /etc/nginx/sites-enabled/* /var/www/html
USER 10001:10001
