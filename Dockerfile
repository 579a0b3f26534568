# syntax=docker/dockerfile:1

# The locked packages, each checked by its hash, and from them the environment that runs: Crossdock and what it needs.
FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /builder \
    && /builder/bin/pip wheel --quiet --no-deps --require-hashes --wheel-dir /wheels --requirement requirements.lock \
    && /builder/bin/pip install --quiet --no-index --find-links /wheels hatchling
COPY pyproject.toml README.md LICENSE ./
COPY app ./app
COPY schema ./schema
COPY resolvers ./resolvers
COPY domain ./domain
RUN /builder/bin/pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir /wheels . \
    && python -m venv /opt/crossdock \
    && /opt/crossdock/bin/pip install --quiet --no-index --find-links /wheels 'crossdock[otel]' \
    && /opt/crossdock/bin/pip check

# What runs: no compiler, no sources, nobody's privileges. Needs DATABASE_URL and CROSSDOCK_SECRET.
FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/crossdock crossdock
COPY --from=build /opt/crossdock /opt/crossdock
ENV PATH=/opt/crossdock/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CROSSDOCK_DATA_DIR=/var/lib/crossdock \
    CROSSDOCK_HOST=0.0.0.0 \
    CROSSDOCK_PORT=8000 \
    CROSSDOCK_LOG_FORMAT=json
USER 10001
WORKDIR /var/lib/crossdock
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['CROSSDOCK_PORT'] + '/healthz', timeout=2)"]
ENTRYPOINT ["crossdock"]
CMD ["serve"]
