"""The page as a program: python app.py, or python -m guidance page, opens it in a browser's reach, in seconds."""

import argparse
import logging
import os
import signal
import sys
import threading
from contextlib import suppress

from guidance import settings

PATIENCE = 2.0  # seconds for the server to close in order


def options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Where and how to serve the page; every option is also an environment variable."""
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
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Serve the page until interrupted."""
    parser = argparse.ArgumentParser(description="Steer a diffusion model while it samples.")
    serve(options(parser).parse_args(arguments))


def apply(given: argparse.Namespace) -> None:
    """Have the settings be what the options say."""
    for name in vars(options(argparse.ArgumentParser()).parse_args([])):
        setattr(settings, name.upper(), getattr(given, name))
    settings.PUBLIC = settings.PUBLIC or settings.SHARE


def serve(given: argparse.Namespace) -> None:
    """Serve the page as the options say, until SIGINT or SIGTERM."""
    apply(given)
    pages = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: leave(number, pages))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # Gradio asks itself whether it is up
    page, start = ready()
    try:
        start.ready()
        demo = page.build()
        pages.append(demo)
        url = page.launch(
            demo, host=settings.HOST, port=settings.PORT, share=settings.SHARE, auth=start.account(),
            root_path=settings.ROOT_PATH or None, mcp=settings.MCP,
        )  # fmt: skip
    except start.StartError as error:
        sys.exit(f"guidance: {error}")
    except OSError:
        sys.exit(f"guidance: The page cannot listen on {settings.HOST}, port {settings.PORT}: choose others with "
                 "--host and --port.")  # fmt: skip
    except ValueError:  # Gradio's, where it cannot ask its own page whether it is up
        sys.exit("guidance: The page does not answer on this machine: is a proxy in the way (set NO_PROXY to "
                 "localhost,127.0.0.1), or the machine too busy?")  # fmt: skip
    if settings.SHARE and not demo.share_url:
        logging.warning("There is no public link: Gradio's servers cannot be reached. The page goes on at %s", url)
    if not settings.ZERO:  # there, only a worker may touch the GPU
        threading.Thread(target=page.warm_up, daemon=True).start()  # after launch, so that the page is there at once
    demo.block_thread()


def ready() -> tuple:
    """The page's module and that of its start, imported once the packages are seen to be there."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported; the page must not call out
    if settings.SPACE:  # the Hub's own proxies say who the visitor is
        os.environ.setdefault("FORWARDED_ALLOW_IPS", "127.0.0.1,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16")
    try:
        from guidance.ui.server import start

        start.packages()
        from guidance.ui import page
    except ModuleNotFoundError as error:
        sys.exit(f"guidance: The page needs {error.name}: pip install -r requirements.txt")
    except ValueError as error:
        sys.exit(f"guidance: {error}")
    return page, start


def leave(number: int, pages: list) -> None:
    """End the program, and what it has started: in order if that is quick, and in any case soon.

    Threads that paint are not waited for: torch ends a process with an error that unwinds them.
    """
    signal.signal(number, signal.SIG_DFL)  # whoever asks twice does not wait
    os.write(2, b"\rguidance: Stopped.\n")
    for demo in pages:
        closing = threading.Thread(target=demo.close, args=(False,), daemon=True)
        closing.start()
        closing.join(PATIENCE)
    if tunneling := sys.modules.get("gradio.tunneling"):
        for tunnel in tunneling.CURRENT_TUNNELS:
            with suppress(Exception):
                tunnel.kill()
    os._exit(128 + number)
