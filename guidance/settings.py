"""Every environment variable the project reads, in one place."""

import os
from pathlib import Path

ASSETS = Path(__file__).parent.parent / "assets"

DEVICE = os.environ.get("GUIDANCE_DEVICE", "")  # "cuda", "mps" or "cpu"; empty: the best there is
PRECISION = os.environ.get("GUIDANCE_PRECISION", "")  # "float32" or "bfloat16"; empty: what the device is good at
CACHE_GIB = float(os.environ.get("GUIDANCE_CACHE_GIB", "0"))  # memory for networks; 0: half of what is free
DEADLINE = float(os.environ.get("GUIDANCE_DEADLINE", "600"))  # seconds that one run may take
HOST = os.environ.get("GUIDANCE_HOST", "127.0.0.1")
PORT = int(os.environ.get("GUIDANCE_PORT", "7860"))
PUBLIC = bool(os.environ.get("GUIDANCE_PUBLIC") or os.environ.get("SPACE_ID"))  # offer strangers listed models alone
