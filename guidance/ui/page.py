"""The page as a whole: header, tabs, the API, and how it is served."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import lru_cache
from html import escape
from pathlib import Path

import gradio as gr
from fastapi import FastAPI
from starlette.middleware import Middleware

import guidance
from guidance import guides, settings
from guidance.recipe import Recipe
from guidance.ui import recall
from guidance.ui.html import theme, words
from guidance.ui.html.words import Say, t
from guidance.ui.runs.jobs import LINE, RUNS, SHARE, Jobs
from guidance.ui.runs.painting import Compute
from guidance.ui.server import agents, api, zero
from guidance.ui.server.doors import Page, Sessions, parameters
from guidance.ui.server.first import First
from guidance.ui.server.gate import MAX_FILE, UP, Gate
from guidance.ui.server.limits import limited, visitor
from guidance.ui.server.metrics import Meter, up
from guidance.ui.tabs import blend, color, digits, finetune, prompt, stage
from guidance.ui.tabs.guide import Look, tab

log = logging.getLogger(__name__)
HTML = Path(__file__).parent / "html"
SCRIPTS = ("page.js", "canvas.js", "blend.js")
POSTS = 240  # requests a minute and visitor of a public page; a click sends three, and a slider one
QUICK = 0.1  # seconds for one picture's step: less, and pictures follow the controls from the start
Held = Callable[[], tuple[list[tuple[str, int]], int]]
quick = False  # until it has been measured
beginning = threading.Lock()
LOGO = """
  <svg viewBox="0 0 32 32" width="34" height="34" aria-hidden="true"><defs><linearGradient id="g-mark" x1="0" x2="1"
  y1="1" y2="0"><stop offset="0" stop-color="#1f3a5f"/><stop offset=".55" stop-color="#2f8f9d"/><stop offset="1"
  stop-color="#f2b880"/></linearGradient></defs><rect width="32" height="32" rx="9" fill="url(#g-mark)"/><path
  d="M6 23 C13 23 12 10 25 9 M20 6.5 L25.6 9 L22 14" fill="none" stroke="#fff" stroke-width="2.4"
  stroke-linecap="round" stroke-linejoin="round"/></svg>
"""


def header(say: Say) -> str:
    """The name, and what belongs to the page as a whole."""
    tools = (
        f'<label class="g-use g-open"><input type="file" accept="image/png">{say("Open a picture")}</label>'
        f'<label class="g-use g-sound"><input type="checkbox">{say("Sound when done")}</label>'
        f'<button type="button" class="g-use g-theme">{say("Light or dark")}</button>'
    )
    about = say("Steer a trained diffusion model while it paints. No training needed.")
    return (
        f'<header class="g-header">{LOGO}<div><h1>Guidance</h1><p>{about}</p></div><div class="g-tools">{tools}</div>'
        f'</header><div class="g-drop" aria-hidden="true">{say("Drop the picture to restore its settings")}</div>'
    )


def history(say: Say) -> str:
    """Where the browser shows the pictures it remembers."""
    empty = say("Pictures that you paint appear here. They stay in this browser; nobody else sees them.")
    bar = '<div class="g-past-bar"></div>'
    return f'<div id="g-history"><p class="g-empty">{empty}</p>{bar}<div class="g-pasts"></div></div>'


def held() -> tuple[list[tuple[str, int]], int]:
    """The real thing: the networks in memory, each with its bytes, and the bytes that they may take."""
    from guidance import engine  # imports torch

    return engine.held()


def in_memory(held: Held, request: gr.Request) -> str:
    """The networks in memory and what they take (HTML)."""
    say, (networks, budget) = words.speaker(request), held()
    rows = "".join(f"<li>{escape(name)}: {size / 1e6:.1f} MB</li>" for name, size in networks)
    taken, most = sum(size for _, size in networks) / 1e9, budget / 1e9
    return f"<p>{say(f'{taken:.2f} of {most:.1f} GB that networks may take')}</p><ul>{rows}</ul>"


def painter() -> ThreadPoolExecutor:
    """The one thread that works on the device, whoever asks; torch is imported on the first call."""
    with beginning:  # a click may come while the page warms up
        return started()


@lru_cache(1)
def started() -> ThreadPoolExecutor:
    """That thread, started.

    OpenMP keeps a team of threads for each thread that calls it, and where there are more of them than processors, as
    two teams are, every step takes almost twice as long. So all the others do what torch they need alone.
    """
    import torch

    one = ThreadPoolExecutor(1, "painter")
    one.submit(torch.get_num_threads).result()  # by which this thread's number is settled
    torch.set_num_threads(1)  # that of the calling thread, and of those that come
    return one


def compute(recipe: Recipe) -> Iterator:
    """The real thing: a recipe's frames."""
    frames = guidance.generate(recipe, deadline=settings.DEADLINE)
    if settings.ZERO:  # in a worker of its own, where no thread from before is
        yield from frames
        return
    with closing(frames):
        while frame := painter().submit(next, frames, None).result():
            yield frame


def build(compute: Compute = compute, held: Held = held, runs: int = RUNS) -> gr.Blocks:
    """The page over a function that turns a recipe into frames; tests pass their own.

    `held` tells what is in memory, and `runs` is how many go on at once.
    """

    def kept(request: gr.Request) -> str:
        return in_memory(held, request)

    jobs = Jobs(visitor, SHARE if settings.PUBLIC else 0, runs)
    meter = Meter(jobs)
    compute = meter.timed(zero.adapted(compute))
    if settings.PUBLIC:
        compute = limited(compute, settings.RATE, settings.WORK)
    looks = {"color": color.LOOK, "prompt": prompt.LOOK, "digits": digits.LOOK}
    # The API leaves files behind; an hour is enough to fetch them.
    with Page(title="Guidance", analytics_enabled=False, delete_cache=(3600, 3600), fill_width=True) as demo:
        gr.HTML(words.html(header), js_on_load=None)
        notice = gr.HTML("", js_on_load=None, elem_id="notice")
        panels = []
        with gr.Tabs() as tabs:
            for kind in (kind for kind in guides.every().values() if kind.alone):
                with gr.Tab(t(kind.label), id=guides.endpoint(kind)):
                    panels.append(tab(kind, looks.get(kind.name, Look()), compute, jobs))
            with gr.Tab(t("Blend"), id=blend.NAME):
                panels.append(blend.tab(compute, jobs))
            for panel in panels:
                if panel.join:
                    panel.join(panels[-1].fields["guides"], tabs)
            if not settings.PUBLIC:
                with gr.Tab(t("Fine-tune"), id="finetune"):
                    finetune.tab(jobs, [panel.fields["model"] for panel in panels if "model" in panel.fields])
            with gr.Tab(t("History"), id="history"):
                gr.HTML(words.html(history), js_on_load="guidance.history()")
        if not settings.PUBLIC:
            with gr.Accordion(t("Networks in memory"), open=False, elem_id="memory") as memory:
                networks = gr.HTML("", js_on_load=None)
            memory.expand(kept, None, networks, **stage.QUICK)
            demo.load(lambda: [live()] * len(panels), None, [panel.live for panel in panels], **stage.QUICK)
        begin_with(panels, "model", settings.MODEL)
        begin_with(panels, "clip", settings.CLIP)
        recall.connect(notice, tabs, panels)
        api.add(compute, jobs)
    # With api_open, a direct POST would skip the queue.
    demo.queue(api_open=False, max_size=LINE)
    demo.texts = {UP: up} | ({"/metrics": meter.text} if settings.METRICS and not settings.PUBLIC else {})
    demo.line = jobs
    demo._queue.sleep_when_free = 0.02  # seconds between two looks at the queue; 0.001 takes 4 % of a processor
    demo._queue.ANALYTICS_MAX_EVENTS = 0  # of which Gradio would keep a table, made anew at each event
    return demo


def begin_with(panels: list[stage.Panel], name: str, value: str) -> None:
    """Have every control of that name begin with what the page is told to begin with, if anything."""
    for panel in panels:
        if value and name in panel.fields:
            panel.fields[name].value = value


def outfit(demo: gr.Blocks, auth: tuple[str, str] | None, root_path: str | None, mcp: bool) -> dict[str, object]:
    """What Gradio is told of the page's looks and doors, whoever serves it."""
    demo.max_threads = demo._queue.max_thread_count = 2 * (demo.line.runs + LINE)  # each run has one that follows it
    script = "".join((HTML / name).read_text() for name in SCRIPTS)
    script = script.replace("(WORDS)", f"({json.dumps(words.CHINESE, ensure_ascii=False)})")
    script = script.replace("(GUIDES)", f"({blend.schema()})")
    names = {fn.api_name: parameters(fn) for fn in demo.fns.values() if fn.api_visibility == "public"}
    first = f"<script>{(HTML / 'first.js').read_text()}</script>"
    limits = {"rate": POSTS, "uploads": MAX_FILE} if settings.PUBLIC else {}
    return {
        "auth": auth, "root_path": root_path, "mcp_server": mcp, "theme": theme.theme(), "i18n": words.tables(),
        "head": f"<script>{script}</script>", "css_paths": HTML / "style.css", "favicon_path": HTML / "favicon.png",
        "footer_links": ["api"], "ssr_mode": False, "run_history": False, "enable_monitoring": False, "pwa": False,
        "show_error": False, "max_file_size": MAX_FILE, "app_kwargs": {
            "middleware": [
                Middleware(Gate, names=names, texts=demo.texts, account=auth, **limits), Middleware(First, html=first),
            ]
        },
    }  # fmt: skip


def opened(demo: gr.Blocks, url: str, auth: tuple[str, str] | None, mcp: bool) -> None:
    """What is to be done once Gradio has made its app, which is reached at `url`."""
    demo.app.state_holder = Sessions()
    demo.app.state_holder.set_blocks(demo)
    if mcp:
        agents.show_pictures(demo)
        agents.log_in(demo, url, auth)


def launch(
    demo: gr.Blocks, *, host: str, port: int | None, share: bool = False, auth: tuple[str, str] | None = None,
    root_path: str | None = None, mcp: bool = False, quiet: bool = False,
) -> str:  # fmt: skip
    """Serve the page in the background and give its local address."""
    dressed = outfit(demo, auth, root_path, mcp)
    _, url, _ = demo.launch(server_name=host, server_port=port, share=share, quiet=quiet, prevent_thread_lock=True,
                            inbrowser=False, max_threads=demo.max_threads, **dressed)  # fmt: skip
    opened(demo, url, auth, mcp)
    return url


def mounted(demo: gr.Blocks, url: str, *, auth: tuple[str, str] | None, root_path: str | None, mcp: bool) -> FastAPI:
    """The page as an ASGI app, for a server that is reached at `url`."""
    app = gr.mount_gradio_app(FastAPI(openapi_url=None), demo, "/", **outfit(demo, auth, root_path, mcp))
    demo.app = app.routes[-1].app
    opened(demo, url, auth, mcp)
    return app


def live() -> bool:
    """Whether pictures follow the controls from the start."""
    return quick if settings.LIVE is None else settings.LIVE


def warm_up(compute: Compute = compute) -> None:
    """Load torch and the built-in model, so that the first click need not wait for them, and see how quick they are."""
    global quick
    try:
        times = [time.monotonic() for _ in compute(Recipe(steps=4))]
        quick = times[-1] - times[-2] < QUICK
    except Exception:  # the first click will meet the same and tell the user
        log.exception("The warm-up failed.")
