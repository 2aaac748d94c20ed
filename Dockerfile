# Viva with its encoder: serves on port 8000, keeps everything in /data, needs no network.
#
#     docker build -t viva --build-arg PIP_OPTIONS="--extra-index-url <torch's CPU builds>" .
#     docker run -d --name viva -p 127.0.0.1:8000:8000 -v viva-data:/data viva
#
# docs/self-hosting.md tells the rest.

ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS build
# Further options of pip, such as the index of torch's CPU builds: without one, Linux gets the GPU build.
ARG PIP_OPTIONS=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
RUN python -m venv /opt/viva
ENV PATH=/opt/viva/bin:$PATH
# Slow layers first. The dependencies stay until a pin changes.
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; print(*p['dependencies'], *p['optional-dependencies']['local'], sep='\n')" > requirements.txt \
    && pip install -c constraints.txt --upgrade pip \
    && pip install ${PIP_OPTIONS} -c constraints.txt -r requirements.txt
# The weights stay until what fetches them changes. The folder's name is the model's: the index knows
# its encoder by name and SHA-256.
COPY ingest/__init__.py ingest/errors.py ingest/weights.py ingest/
RUN python -c "from pathlib import Path; from ingest.weights import DEFAULT_ENCODER, fetch_weights; fetch_weights(DEFAULT_ENCODER, Path('/opt/fetched'), print).path.rename(Path('/opt') / DEFAULT_ENCODER)"
COPY LICENSE README.md ./
COPY bot bot
COPY ingest ingest
COPY corpus corpus
COPY prompts prompts
RUN pip install --no-deps .

FROM ${PYTHON_IMAGE}
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin viva \
    && install -d -o viva -g viva -m 0700 /data
COPY --from=build /opt/viva /opt/viva
COPY --from=build /opt/all-MiniLM-L6-v2 /opt/all-MiniLM-L6-v2
ENV PATH=/opt/viva/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    VIVA_HOST=0.0.0.0 \
    VIVA_DATA_DIR=/data \
    VIVA_CACHE_DIR=/data/cache \
    VIVA_EMBEDDING_MODEL=/opt/all-MiniLM-L6-v2
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
# The first start embeds the notes before it serves.
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ.get('VIVA_PORT', '8000')}/healthz\", timeout=4)"]
# Notes with a fault keep the index as it was: better to serve that than nothing. Arguments go to serve.
ENTRYPOINT ["/bin/sh", "-c", "viva ingest || echo 'The notes were not indexed; serving what was indexed before.' >&2; exec viva serve \"$@\"", "viva"]
