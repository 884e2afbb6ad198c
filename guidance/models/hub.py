"""The Hugging Face Hub: is it there?"""

import os
import socket
from urllib.parse import urlsplit

from huggingface_hub import constants


def online(timeout: float = 3.0) -> bool:
    """Whether the Hub can be asked, found out quickly; its own client tries again and again for most of a minute."""
    if constants.HF_HUB_OFFLINE:
        return False
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True  # only the proxy can tell
    where = urlsplit(constants.ENDPOINT)
    try:
        socket.create_connection((where.hostname, where.port or 443), timeout).close()
    except OSError:
        return False
    return True
