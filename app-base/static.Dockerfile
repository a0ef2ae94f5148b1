# platformer/app-base:static: only bootstrap, for static binaries.
#
# APP_BASE provides the root certificates, the user and the directories.
ARG APP_BASE=platformer/app-base
FROM ${APP_BASE} AS base
# COPY preserves the mode of a directory only inside another directory.
WORKDIR /skeleton
USER root
RUN mkdir tmp && chmod 1777 tmp

FROM scratch
LABEL org.opencontainers.image.title="platformer/app-base:static"
COPY --from=base /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=base /etc/passwd /etc/group /etc/
COPY --from=base /skeleton /
COPY --from=base --chown=10001:10001 /app /app
COPY --from=base --chown=10001:10001 /var/lib/app /var/lib/app
COPY --from=base /usr/local/bin/bootstrap /usr/local/bin/bootstrap
USER 10001:10001
WORKDIR /app
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=5m --retries=3 \
    CMD ["/usr/local/bin/bootstrap", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/bootstrap"]
