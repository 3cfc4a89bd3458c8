# recoup in a container: one static binary, an account of its own, a volume at /data.
#
#   docker build -t recoup .
#   docker run -v recoup:/data -v ./recoup.toml:/etc/recoup/recoup.toml:ro \
#     --env-file .env -p 8080:8080 --stop-timeout 20 recoup

FROM rust:1-alpine AS build
# `ring` compiles some C; musl links everything into the one file.
RUN apk add --no-cache build-base
WORKDIR /src
COPY Cargo.toml Cargo.lock README.md ./
COPY benches benches
COPY examples examples
COPY src src
COPY docs/errors docs/errors
RUN cargo build --locked --release --bin recoup

FROM alpine:3
# Root certificates and time zones are in the binary; the system's own certificates are for a mail
# server or a proxy that only this network knows. `setpriv` gives root away (see below).
RUN apk add --no-cache ca-certificates setpriv \
    && adduser -S -D -H -u 10001 -h /data -s /sbin/nologin -G nogroup recoup \
    && install -d -o recoup -g nogroup -m 0700 /data
COPY --from=build /src/target/release/recoup /usr/local/bin/recoup
COPY --chmod=0755 deploy/as-recoup /usr/local/bin/as-recoup
ENV RECOUP_CONFIG=/etc/recoup/recoup.toml \
    RECOUP__STORE__URL=sled:/data/recoup \
    RECOUP__SERVER__LISTEN=0.0.0.0:8080
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD wget -q -O /dev/null http://127.0.0.1:8080/readyz || exit 1
ENTRYPOINT ["as-recoup", "recoup"]
CMD ["serve"]
