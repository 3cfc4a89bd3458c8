# recoup in a container: the binary, certificates, an account of its own, a volume at /data.
#
#   docker build -t recoup .
#   docker run -v recoup:/data -v ./recoup.toml:/etc/recoup/recoup.toml:ro \
#     --env-file .env -p 8080:8080 --stop-timeout 20 recoup

FROM rust:1-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock README.md ./
COPY benches benches
COPY src src
RUN cargo build --locked --release --bin recoup

FROM debian:bookworm-slim
# Gateways and mail servers are reached over TLS. `setpriv` is part of util-linux, which is there.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin recoup \
    && install -d -o recoup -g recoup -m 0700 /data
COPY --from=build /src/target/release/recoup /usr/local/bin/recoup
# A fresh volume may belong to root. Then, and only then, the entry point gives it to recoup's
# account; recoup itself never runs as root. `exec` makes it the process that gets SIGTERM.
COPY --chmod=0755 <<'SCRIPT' /usr/local/bin/as-recoup
#!/bin/sh
set -eu
if [ "$(id -u)" = 0 ]; then
    [ "$(stat -c %u /data)" = 10001 ] || chown recoup:recoup /data
    exec setpriv --reuid=recoup --regid=recoup --init-groups --no-new-privs -- "$@"
fi
exec "$@"
SCRIPT
ENV RECOUP_CONFIG=/etc/recoup/recoup.toml \
    RECOUP__STORE__URL=sled:/data/recoup \
    RECOUP__SERVER__LISTEN=0.0.0.0:8080
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["as-recoup", "recoup"]
CMD ["serve"]
