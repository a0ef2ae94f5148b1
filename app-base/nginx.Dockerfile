# platformer/app-base:nginx: for static files and apps behind nginx, and the base of the load balancer.
ARG APP_BASE=platformer/app-base
FROM ${APP_BASE}
LABEL org.opencontainers.image.title="platformer/app-base:nginx"
USER root
RUN apt-get update && \
    apt-get install --yes --no-install-recommends nginx-light && \
    rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /etc/nginx/sites-enabled/* /var/www/html
USER 10001:10001
