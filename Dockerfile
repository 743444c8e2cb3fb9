# docker build --tag driftune .
# Build arguments: EXTRAS (ray, postgres, objects, onnx), TORCH_INDEX (index URL of another torch build).
FROM python:3.11-slim-bookworm AS build
ARG EXTRAS=postgres,objects
ARG TORCH_INDEX=
ENV PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY pyproject.toml requirements.lock constraints.txt README.md LICENSE ./
COPY scripts/setup.sh scripts/lock.py scripts/
COPY src src
COPY flows flows
COPY tasks tasks
RUN PYTHON=python VENV=/opt/driftune EDITABLE= sh scripts/setup.sh

# docker build --target serve --tag driftune-serve .
# Scores of a bundle over HTTP (examples/serve.py), for CPUs: torch, numpy, pyarrow and what serves.
FROM python:3.11-slim-bookworm AS serve-build
ARG TORCH_CPU=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_EXTRA_INDEX_URL=$TORCH_CPU
WORKDIR /build
COPY pyproject.toml requirements.lock constraints.txt README.md LICENSE ./
COPY scripts/setup.sh scripts/lock.py scripts/
COPY src src
COPY flows flows
COPY tasks tasks
RUN PYTHON=python VENV=/opt/driftune EDITABLE= BASE=serve EXTRAS= sh scripts/setup.sh

FROM python:3.11-slim-bookworm AS serve
RUN useradd --uid 10001 --create-home driftune
COPY --from=serve-build /opt/driftune /opt/driftune
COPY examples/serve.py /srv/serve.py
ENV PATH=/opt/driftune/bin:$PATH PYTHONUNBUFFERED=1
USER driftune
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
# The bundle is a volume; another address: docker run … driftune-serve --bundle s3://BUCKET/PATH
ENTRYPOINT ["python", "/srv/serve.py", "--host", "0.0.0.0"]
CMD ["--bundle", "/bundle"]

FROM python:3.11-slim-bookworm
# DVC asks git what a project is.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home driftune
COPY --from=build /opt/driftune /opt/driftune
ENV PATH=/opt/driftune/bin:$PATH PYTHONUNBUFFERED=1 PREFECT_LOGGING_EXTRA_LOGGERS=driftune
# The project as it was when the image was built; a volume here holds yours and its workspace.
WORKDIR /project
COPY --chown=driftune . .
RUN chown driftune /project
USER driftune
# Of a worker, the default command; the container of a single run has no such server.
ENV PREFECT_WORKER_WEBSERVER_HOST=127.0.0.1 PREFECT_WORKER_WEBSERVER_PORT=8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
CMD ["prefect", "worker", "start", "--pool", "default", "--with-healthcheck"]
