# One image for every Tandem process; the command says which.
FROM python:3.11-slim

WORKDIR /opt/tandem
RUN python -m venv .venv
ENV PATH=/opt/tandem/.venv/bin:$PATH PYTHONUNBUFFERED=1

# Packages first: they change less often than the code. These are the ones that running takes, without the report's and
# the developers' (`make pins` writes both lists, at the same versions).
COPY .ci/requirements-image.txt .ci/
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes --no-deps -r .ci/requirements-image.txt

COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY sim sim
COPY experiments experiments
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --editable . \
    && python -m compileall -q core sim experiments \
    && useradd --system --no-create-home tandem

USER tandem
STOPSIGNAL SIGTERM
ENTRYPOINT ["tandem"]
CMD ["--help"]
