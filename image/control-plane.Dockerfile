# The control plane: Debian, Python, the platform and what it depends on, and nothing of any user.
#
# Built by `make image-control-plane`, which sends this file with packages/, as pip laid them out for Debian's Python.
# BASE is a public image; where no registry can be reached, the same made from Debian's packages.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
RUN if ! command -v python3 >/dev/null; then \
        apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 ca-certificates; \
    fi \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/* \
    && useradd --uid 10001 --user-group --home-dir /var/lib/openclaw-hosted --no-create-home openclaw-hosted \
    && install -d -o openclaw-hosted -g openclaw-hosted -m 0700 /var/lib/openclaw-hosted \
    && printf '#!/bin/sh\nexec python3 -m openclaw_hosted "$@"\n' >/usr/local/bin/openclaw-hosted \
    && chmod 755 /usr/local/bin/openclaw-hosted
COPY packages /opt/openclaw-hosted
RUN python3 -m compileall -q /opt/openclaw-hosted
ENV HOME=/var/lib/openclaw-hosted \
    OPENCLAW_HOSTED_DATA_DIR=/var/lib/openclaw-hosted \
    PYTHONPATH=/opt/openclaw-hosted \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PROVIDER=aws \
    HOST=0.0.0.0 \
    PORT=8080
USER openclaw-hosted
WORKDIR /var/lib/openclaw-hosted
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python3", "-c", "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(4); s.connect(os.environ['OPENCLAW_HOSTED_DATA_DIR'] + '/run/local.sock'); s.sendall(b'GET /healthz HTTP/1.0\\r\\n\\r\\n'); sys.exit(b' 200 ' not in s.recv(20))"]
CMD ["openclaw-hosted", "serve"]
