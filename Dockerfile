# One image for the app and the worker; docker-compose.yml starts it twice.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /venv
WORKDIR /neopulse
COPY pyproject.toml constraints.txt README.md LICENSE ./
# Packages that are still empty: what neopulse depends on is installed once, and again only when these files change.
RUN mkdir pipeline worker streamlit_app && touch pipeline/__init__.py worker/__init__.py streamlit_app/__init__.py
RUN --mount=type=cache,target=/pip-cache /venv/bin/pip install --quiet --cache-dir /pip-cache -c constraints.txt -e '.[postgres]'

FROM python:3.11-slim-bookworm
# Without the server address Streamlit asks a service on the internet for the machine's own.
ENV PATH=/venv/bin:$PATH \
    STREAMLIT_BROWSER_SERVER_ADDRESS=localhost \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    NEOPULSE_HOME=/data \
    NEOPULSE_PORT=8501
# A named volume takes over the owner of the folder that it is mounted on.
RUN install -d -m 750 -o 10001 -g 10001 /data
WORKDIR /neopulse
COPY --from=build /venv /venv
COPY . .
RUN python -m compileall -q pipeline worker streamlit_app
USER 10001:10001
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --start-interval=1s \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['NEOPULSE_PORT']), timeout=4); c.request('GET', '/_stcore/health'); sys.exit(c.getresponse().status != 200)"]
CMD ["neopulse", "app"]
