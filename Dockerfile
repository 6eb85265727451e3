# Build it for yourself; do not publish what it builds: decord's wheel carries an FFmpeg that may not be
# redistributed (docs/licences.md).
FROM python:3.11-slim

WORKDIR /app

# The locked packages first: they change less often than the code.
COPY requirements-build.lock requirements-server.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements-build.lock \
    && uv pip install --system --no-cache --compile-bytecode --require-hashes -r requirements-server.lock

COPY pyproject.toml README.md LICENSE ./
COPY gpt4video gpt4video
COPY server server
COPY configs configs
RUN uv pip install --system --no-cache --compile-bytecode --no-deps --no-build-isolation . \
    && useradd --uid 10001 --create-home gpt4video \
    && mkdir /data && chown gpt4video /data

# The root file system may be read-only (docker run --read-only --tmpfs /tmp): what changes is in /data and /tmp.
ENV PYTHONDONTWRITEBYTECODE=1 HOME=/tmp XDG_CACHE_HOME=/tmp/cache HF_HOME=/tmp/huggingface \
    GPT4VIDEO_DATA_DIR=/data
VOLUME /data
USER 10001
WORKDIR /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready', timeout=4)"]
# It asks for keys: docker run … gpt4video keys create --name me
CMD ["gpt4video", "serve", "--host", "0.0.0.0", "--port", "8000", "--log-format", "json"]
