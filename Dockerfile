# Runs locally and as a Docker Space: docker build -t guidance . && docker run -p 7860:7860 guidance
FROM python:3.12-slim
RUN useradd --uid 1000 --create-home user
USER user
ENV PATH=/home/user/.local/bin:$PATH GUIDANCE_HOST=0.0.0.0 PYTHONUNBUFFERED=1
WORKDIR /home/user/app
COPY --chown=user requirements.txt .
RUN pip install --no-cache-dir --user -r requirements.txt
COPY --chown=user . .
EXPOSE 7860
CMD ["python", "app.py"]
