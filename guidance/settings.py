"""Every environment variable the project reads, in one place."""

import os
from pathlib import Path

ROOT = Path(__file__).parent.parent
INSTALLED = Path(__file__).parent / "assets"  # a wheel has the weights inside the package, a checkout beside it
ASSETS = INSTALLED if INSTALLED.is_dir() else ROOT / "assets"
LOOKS = ("landscapes", "engravings")  # the built-in models of pictures, folders of ASSETS
OFF = ("", "0", "false", "no", "off")


def number(name: str, default: float, kind: type = float) -> float:
    """A variable that is a number from 0 on; set to anything else, it ends the program with a sentence."""
    try:
        value = kind(os.environ.get(name) or default)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf"):
        raise SystemExit(f"guidance: {name} must be a number from 0 on, such as {default:g}.")
    return value


def switch(name: str) -> bool:
    """A variable that is on unless it is empty or says 0, false, no or off."""
    return os.environ.get(name, "").strip().lower() not in OFF


DEVICE = os.environ.get("GUIDANCE_DEVICE", "")  # "cuda", "mps" or "cpu"; empty: the best there is
PRECISION = os.environ.get("GUIDANCE_PRECISION", "")  # "float32" or "bfloat16"; empty: what the device is good at
CACHE_GIB = number("GUIDANCE_CACHE_GIB", 0)  # memory for networks; 0: half of what is free
DEADLINE = number("GUIDANCE_DEADLINE", 600)  # seconds that one run may take
TRAINED = Path(os.environ.get("GUIDANCE_TRAINED") or "runs/trained").absolute()  # where the page's fine-tuning goes

SPACE = bool(os.environ.get("SPACE_ID"))  # the Hub sets it on Spaces
ZERO = switch("SPACES_ZERO_GPU")  # and this on those with ZeroGPU
# On a Space of the Gradio SDK the Hub tells Gradio where to listen.
HOST = os.environ.get("GUIDANCE_HOST") or os.environ.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if SPACE else "127.0.0.1")
PORT = number("GUIDANCE_PORT", number("GRADIO_SERVER_PORT", 7860, int), int)
SHARE = switch("GUIDANCE_SHARE")  # a public link through Gradio's servers
AUTH = os.environ.get("GUIDANCE_AUTH", "")  # "user:password"; empty: everyone may come in
ROOT_PATH = os.environ.get("GUIDANCE_ROOT_PATH", "")  # the path under which a proxy shows the page
MODEL = os.environ.get("GUIDANCE_MODEL", "")  # the model that the page begins with; empty: the built-in one
CLIP = os.environ.get("GUIDANCE_CLIP", "")  # the CLIP that the page begins with; empty: the built-in one
MCP = switch("GUIDANCE_MCP")  # serve the API to agents as well
METRICS = switch("GUIDANCE_METRICS")  # tell Prometheus; never on public pages

# Whether Live is on at first; not set: where the device is quick enough.
LIVE = switch("GUIDANCE_LIVE") if os.environ.get("GUIDANCE_LIVE") else None
PUBLIC = switch("GUIDANCE_PUBLIC") or SPACE  # for strangers: the listed models alone, and the limits below
RATE = number("GUIDANCE_RATE", 30, int)  # runs a minute and visitor of a public page; 0: no limit
WORK = number("GUIDANCE_WORK", 4000, int)  # pictures x steps of one run of a public page; 0: no limit


def handed_on() -> dict[str, str]:
    """The environment of a process that works for this one, wherever this one was started from."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return os.environ | {"GUIDANCE_TRAINED": str(TRAINED)} | ({} if INSTALLED.is_dir() else {"PYTHONPATH": path})


def for_others() -> dict[str, str]:
    """The same for processes on other machines: what is set for the project, and what options have changed by now."""
    changed = {"PUBLIC": PUBLIC, "HOST": HOST, "PORT": PORT, "AUTH": AUTH, "ROOT_PATH": ROOT_PATH, "MODEL": MODEL,
               "CLIP": CLIP, "MCP": MCP}  # fmt: skip
    given = {name: value for name, value in handed_on().items() if name.startswith(("GUIDANCE_", "PYTHONPATH"))}
    return given | {f"GUIDANCE_{name}": str(value or "") for name, value in changed.items()}
