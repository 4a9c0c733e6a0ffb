# HealthyTwin for the CPU:      docker build -t healthytwin .
# and for NVIDIA GPUs:          docker build -t healthytwin:cuda --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu126 .
# PyTorch's own wheels bring the CUDA libraries along, so one base serves both; the driver is the host's.
ARG BASE=python:3.11-slim

FROM ${BASE} AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM ${BASE}
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY constraints.txt /tmp/constraints.txt
RUN pip install --no-cache-dir --extra-index-url "${TORCH_INDEX}" "$(grep '^torch==' /tmp/constraints.txt)"
COPY --from=wheel /wheels /tmp/wheels
RUN pip install --no-cache-dir -c /tmp/constraints.txt /tmp/wheels/*.whl && rm -r /tmp/wheels \
    && useradd --create-home --uid 1000 healthytwin && mkdir /data && chown healthytwin /data
USER healthytwin
ENV MPLCONFIGDIR=/tmp/matplotlib PYTHONSAFEPATH=1
WORKDIR /data
RUN healthytwin doctor
ENTRYPOINT ["healthytwin"]
CMD ["--help"]
