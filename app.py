"""The app: python app.py opens the page in a browser's reach, offline and in seconds."""

import argparse
import logging
import os
import sys
import threading

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported; the page must not call out
if os.environ.get("SPACE_ID"):  # the Hub's own proxies say who the visitor is
    os.environ.setdefault("FORWARDED_ALLOW_IPS", "127.0.0.1,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16")

try:
    from guidance import settings
    from guidance.ui.server import start

    start.packages()
    from guidance.ui import page
except ModuleNotFoundError as error:
    sys.exit(f"guidance: The page needs {error.name}: pip install -r requirements.txt")
except ValueError as error:
    sys.exit(f"guidance: {error}")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Where and how to serve the page; every option is also an environment variable."""
    parser = argparse.ArgumentParser(description="Steer a diffusion model while it samples.")
    parser.add_argument("--host", default=settings.HOST, help="the address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=settings.PORT, help="the port to listen on (%(default)s)")
    parser.add_argument("--share", action="store_true", default=settings.SHARE,
                        help="open a public link through Gradio's servers")  # fmt: skip
    parser.add_argument("--auth", default=settings.AUTH, metavar="USER:PASSWORD", help="let in only who knows these")
    parser.add_argument("--root-path", default=settings.ROOT_PATH, metavar="PATH",
                        help="the path under which a proxy shows the page, such as /guidance")  # fmt: skip
    parser.add_argument("--model", default=settings.MODEL, metavar="ID", help="the model that the page begins with")
    parser.add_argument("--clip", default=settings.CLIP, metavar="ID", help="the CLIP that the page begins with")
    parser.add_argument("--mcp", action="store_true", default=settings.MCP, help="serve agents as well, over MCP")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Serve the page until interrupted."""
    for name, value in vars(parse(arguments)).items():
        setattr(settings, name.upper(), value)
    settings.PUBLIC = settings.PUBLIC or settings.SHARE
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # Gradio asks itself whether it is up
    try:
        start.ready()
        demo = page.build()
        url = page.launch(
            demo, host=settings.HOST, port=settings.PORT, share=settings.SHARE, auth=start.account(),
            root_path=settings.ROOT_PATH or None, mcp=settings.MCP,
        )  # fmt: skip
    except start.StartError as error:
        sys.exit(f"guidance: {error}")
    except OSError:
        sys.exit(f"guidance: The page cannot listen on {settings.HOST}, port {settings.PORT}: choose others with "
                 "--host and --port.")  # fmt: skip
    if settings.SHARE and not demo.share_url:
        logging.warning("There is no public link: Gradio's servers cannot be reached. The page goes on at %s", url)
    if not settings.ZERO:  # there, only a worker may touch the GPU
        threading.Thread(target=page.warm_up, daemon=True).start()  # after launch, so that the page is there at once
    demo.block_thread()


if __name__ == "__main__":
    main()
