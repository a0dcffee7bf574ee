# nocache-gateway in an image of its own: one static program, no shell, no root.
#   docker build -t nocache-gateway .
#   docker run -p 127.0.0.1:6622:6622 -v ./rules:/etc/nocache-gateway:ro nocache-gateway

FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
# Cargo requires a file for each bench that the manifest names, whatever it contains.
RUN mkdir benches && sed -n 's/^name = "\(.*\)"$/benches\/\1.rs/p' Cargo.toml > /tmp/benches && xargs touch < /tmp/benches
COPY deploy/build deploy/train.rs deploy/
COPY src src
ENV RUSTFLAGS="-C target-feature=+crt-static"
# Twice, to optimise it by a profile of its own work; so a change of the source builds all dependencies again.
RUN program=$(deploy/build) && install -D "$program" /out/nocache-gateway

FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="nocache-gateway" \
      org.opencontainers.image.description="A local gateway for the CapMonster Cloud API that sets nocache by rules per target site" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /out/nocache-gateway /nocache-gateway
# Inside the image loopback would reach nobody. Publish the ports on the host's loopback: -p 127.0.0.1:6622:6622
# What is free goes back to the system after 100 ms, in place of a second (a variable of mimalloc's): a container has a limit.
ENV NOCACHE_GATEWAY_LISTEN="0.0.0.0:6622" \
    NOCACHE_GATEWAY_ADMIN_LISTEN="0.0.0.0:6623" \
    MIMALLOC_PURGE_DELAY="100"
USER 65532:65532
EXPOSE 6622 6623
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=2s --retries=3 CMD ["/nocache-gateway", "healthcheck"]
ENTRYPOINT ["/nocache-gateway"]
