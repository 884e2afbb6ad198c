"""The app: python app.py opens the page in a browser's reach, offline and in seconds."""

import argparse
import logging
import os
import threading

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported; the page must not call out

from guidance import settings  # noqa: E402
from guidance.ui import page  # noqa: E402


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Where to serve the page."""
    parser = argparse.ArgumentParser(description="Steer a diffusion model while it samples.")
    parser.add_argument("--host", default=settings.HOST, help="the address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=settings.PORT, help="the port to listen on (%(default)s)")
    parser.add_argument("--share", action="store_true", help="open a public link through Gradio's servers")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Serve the page until interrupted."""
    options = parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # Gradio asks itself whether it is up
    settings.PUBLIC = settings.PUBLIC or options.share
    demo = page.build()
    page.launch(demo, host=options.host, port=options.port, share=options.share)
    threading.Thread(target=page.warm_up, daemon=True).start()  # after launch, so that the page is there at once
    demo.block_thread()


if __name__ == "__main__":
    main()
