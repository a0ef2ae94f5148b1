# What is packed as bakery-web: `cargo pack bakery-web` copies /artefact out of this image.
ARG VERSION=1.0.0

FROM scratch
COPY nginx.conf /artefact/
COPY pages /artefact/pages
COPY answers /artefact/answers
