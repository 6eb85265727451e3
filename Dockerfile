FROM python:3.12-slim

WORKDIR /app

# The locked packages first: they change less often than the code.
COPY requirements-build.lock requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements-build.lock \
    && uv pip install --system --no-cache --require-hashes -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY gpt4video gpt4video
COPY server server
COPY configs configs
RUN uv pip install --system --no-cache --no-deps --no-build-isolation . \
    && useradd --create-home gpt4video

USER gpt4video
WORKDIR /home/gpt4video
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready', timeout=4)"]
CMD ["gpt4video", "serve", "--host", "0.0.0.0", "--port", "8000"]
