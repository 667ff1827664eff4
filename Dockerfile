# The image of web, worker, beat and migrate: one code, told apart by their command.
FROM python:3.13-slim AS packages
WORKDIR /purser
COPY requirements/base.txt requirements/base.txt
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements/base.txt

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PURSER_HOME=/var/lib/purser
RUN useradd --system --uid 10001 --home-dir /var/lib/purser --create-home purser
WORKDIR /purser
COPY --from=packages /venv /venv
COPY manage.py ./
COPY config config
COPY teams teams
COPY billing billing
COPY templates templates
USER purser
EXPOSE 8000
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--blocking-threads", "64", "--no-ws", "config.wsgi:application"]
