"""The page as a whole: header, tabs, the API, and how it is served."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr
from PIL import Image

import guidance
from guidance import settings
from guidance.recipes import ColorRecipe, Recipe
from guidance.ui import api, clip, color, digits, theme

log = logging.getLogger(__name__)
HERE = Path(__file__).parent
QUEUE = 64  # runs that may wait; one more is turned away with a sentence
HEADER = """
<header class="g-header">
  <svg viewBox="0 0 32 32" width="34" height="34" aria-hidden="true"><defs><linearGradient id="g-mark" x1="0" x2="1"
  y1="1" y2="0"><stop offset="0" stop-color="#1f3a5f"/><stop offset=".55" stop-color="#2f8f9d"/><stop offset="1"
  stop-color="#f2b880"/></linearGradient></defs><rect width="32" height="32" rx="9" fill="url(#g-mark)"/><path
  d="M6 23 C13 23 12 10 25 9 M20 6.5 L25.6 9 L22 14" fill="none" stroke="#fff" stroke-width="2.4"
  stroke-linecap="round" stroke-linejoin="round"/></svg>
  <div><h1>Guidance</h1><p>Steer a trained diffusion model while it paints. No training needed.</p></div>
</header>
"""


def compute(recipe: Recipe) -> Iterator:
    """The real thing: a recipe's frames. torch is imported on the first call."""
    yield from guidance.generate(recipe, deadline=settings.DEADLINE)


def read(images: list[Image.Image]) -> list[tuple[int, float]]:
    """The real thing: what an independent network reads in pictures of digits."""
    return guidance.read_digits(images)


def build(compute: Callable[[Recipe], Iterator] = compute, read: digits.Read = read) -> gr.Blocks:
    """The page over a function that turns a recipe into frames and one that reads digits; tests pass their own."""
    # The API leaves files behind; an hour is enough to fetch them.
    with gr.Blocks(title="Guidance", analytics_enabled=False, delete_cache=(3600, 3600), fill_width=True) as demo:
        gr.HTML(HEADER, js_on_load=None)
        with gr.Tabs():
            with gr.Tab("Colour", id="color"):
                color.tab(compute)
            with gr.Tab("Prompt", id="clip"):
                clip.tab(compute)
            with gr.Tab("Digits", id="digits"):
                digits.tab(compute, read)
        api.color(compute)
        api.clip(compute)
        api.digits(compute)
    # With api_open, a direct POST would skip the queue.
    return demo.queue(api_open=False, max_size=QUEUE)


def launch(demo: gr.Blocks, *, host: str, port: int | None, share: bool = False, quiet: bool = False) -> str:
    """Serve the page in the background and give its local address."""
    _, url, _ = demo.launch(
        server_name=host, server_port=port, share=share, quiet=quiet, prevent_thread_lock=True, inbrowser=False,
        theme=theme.theme(), css_paths=HERE / "style.css", favicon_path=HERE / "favicon.png", footer_links=["api"],
        ssr_mode=False, run_history=False, enable_monitoring=False, mcp_server=False, pwa=False, show_error=False,
    )  # fmt: skip
    return url


def warm_up() -> None:
    """Load torch and the built-in model, so that the first click need not wait for them."""
    try:
        for _ in compute(ColorRecipe(steps=1)):
            pass
    except Exception:  # the first click will meet the same and tell the user
        log.exception("The warm-up failed.")
