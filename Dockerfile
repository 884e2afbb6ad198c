# docker build -t guidance . && docker run -p 7860:7860 guidance; the same file runs a Docker Space.
# For NVIDIA GPUs: docker build --build-arg TORCH=https://pypi.org/simple ..., then docker run --gpus all ...
# For many machines: docker build --build-arg 'EXTRA=ray[data,serve]>=2.50' ..., see docs/scale.md.
FROM python:3.12-slim
ARG TORCH=https://download.pytorch.org/whl/cpu
ARG EXTRA=
RUN useradd --uid 1000 --create-home user
USER 1000
ENV HOME=/home/user \
    PATH=/home/user/venv/bin:$PATH \
    GUIDANCE_HOST=0.0.0.0 \
    GUIDANCE_PORT=7860 \
    PYTHONUNBUFFERED=1
WORKDIR /home/user/app
# The packages are layers of their own: when the code changes, they are not installed again.
COPY --chown=1000:1000 requirements.txt ./
RUN python -m venv /home/user/venv \
    && grep '^torch' requirements.txt > /home/user/torch.txt \
    && pip install --no-cache-dir --index-url "$TORCH" -r /home/user/torch.txt
RUN pip install --no-cache-dir -r requirements.txt ${EXTRA:+"$EXTRA"}
COPY --chown=1000:1000 LICENSE README.md app.py ./
COPY --chown=1000:1000 assets assets/
COPY --chown=1000:1000 guidance guidance/
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"GUIDANCE_PORT\"]}/healthz')"]
CMD ["python", "app.py"]
