# `cargo pack bakery-web` packs the directory /artefact of this image.
ARG VERSION=1.0.0

FROM scratch
COPY nginx.conf /artefact/
COPY pages /artefact/pages
COPY answers /artefact/answers
