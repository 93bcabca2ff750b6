# The images of docker-compose.yaml: `postgres`, and `platform` for everything else. See docs/docker.md.
ARG POSTGRES_IMAGE=postgres:15.18-bookworm
ARG PYTHON_IMAGE=python:3.12.13-slim-bookworm

# Not postgis/postgis, which has no image for arm64.
FROM ${POSTGRES_IMAGE} AS postgres
# Debian's archives keep only the newest build: the name pins PostgreSQL's major version and PostGIS's.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql-15-postgis-3 \
    && rm -rf /var/lib/apt/lists/*
USER 999:999

FROM ${PYTHON_IMAGE} AS platform
WORKDIR /opt/marketplace
# The same number as the postgres image's user, who reads a password from the volume that this one writes.
# A new volume takes its owner from the directory that it is mounted on.
RUN groupadd --system --gid 999 marketplace \
    && useradd --system --uid 999 --gid 999 --no-create-home --home-dir /opt/marketplace marketplace \
    && install --directory --owner marketplace --group marketplace .local

# Two environments, as bootstrap.sh makes them: Airflow and the emulator pin different versions of botocore.
COPY local/requirements-emulator.txt local/
RUN python -m venv .venv/emulator \
    && .venv/emulator/bin/pip install --no-cache-dir --requirement local/requirements-emulator.txt
# The constraints lie where MWAA has them, so requirements.txt is installed as it is there.
COPY dags/constraints-3.3.1-py3.12.txt /usr/local/airflow/dags/
COPY requirements.txt requirements-dev.txt requirements-api.txt ./
# Besides, the supervisor for `setup`, uv, by which it packs the APIs' function, and what the Redshift endpoint reads SQL
# and files with.
RUN grep -E '^(pyarrow|sqlglot|supervisor|uv)==' requirements-dev.txt > requirements-local.txt \
    && python -m venv .venv/airflow \
    && .venv/airflow/bin/pip install --no-cache-dir --requirement requirements.txt \
        --requirement requirements-local.txt
ENV PATH=/opt/marketplace/.venv/airflow/bin:$PATH

COPY infra infra
COPY local local
USER 999:999
