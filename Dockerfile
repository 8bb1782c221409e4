# An image of the bot with all of its plugins: `docker build -t smabot .`, see docs/operations.md.
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md CHANGELOG.md LICENSE settings.toml ./
COPY core core
COPY plugins plugins
RUN python -m venv /opt/smabot \
    && /opt/smabot/bin/pip install --no-cache-dir . ./plugins/* \
    && /opt/smabot/bin/python -m compileall -q /opt/smabot

FROM python:3.12-slim
# A user without a name at the host, who owns nothing here but the folder of the database.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin smabot \
    && install --directory --owner smabot --mode 0700 /smabot/data
COPY --from=build /opt/smabot /opt/smabot
# A hung bot that is aborted prints where it was. Secrets are read as systemd's credentials are.
ENV PATH=/opt/smabot/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONFAULTHANDLER=1 \
    CREDENTIALS_DIRECTORY=/run/secrets
USER 10001
WORKDIR /smabot
VOLUME /smabot/data
STOPSIGNAL SIGTERM
# Unhealthy is what is dead: `smabot health` exits with 1 where a bot is degraded, and that one still runs.
HEALTHCHECK --interval=15s --timeout=10s --start-period=2m --retries=2 \
    CMD smabot health || [ $? -eq 1 ]
ENTRYPOINT ["smabot"]
CMD ["run"]
