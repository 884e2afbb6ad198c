"""The Hugging Face Hub: is it there, and the files of a repository."""

import io
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import HfApi, constants, errors, snapshot_download
from huggingface_hub.utils import are_progress_bars_disabled
from tqdm import tqdm

from guidance import progress
from guidance.models.device import ModelError

STILL = 90.0  # seconds that a download may stand still; the Hub's own client gives up after some 65
constants.DOWNLOAD_CHUNK_SIZE = 2**20  # bytes; over a slow line 10 MB, its own, take minutes before they count as here

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


def patiently(name: str, download: Callable[[type[tqdm]], Path]) -> Path:
    """What a download gives, which is given a bar to tell how far it is; in a thread of its own, for it may hang.

    OSError if it gets no further for STILL seconds, GivenUp if nobody waits for it; what is here already is kept.
    """
    done, most, since, over = Future(), 0, time.monotonic(), threading.Event()
    # A bar that is disabled counts nothing: one that nobody wants to see writes where nobody looks.
    unseen = os.environ.get("TQDM_DISABLE") or are_progress_bars_disabled()
    hidden = {"disable": False, "file": io.StringIO()} if unseen else {}

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any):
            super().__init__(*args, **options | hidden)

        def update(self, n: float | None = 1) -> bool | None:
            nonlocal most, since
            if over.is_set():
                raise progress.GivenUp
            shown = super().update(n)
            if self.unit == "B":
                progress.downloaded(name, int(self.n), int(self.total or 0))
            if self.n > most:  # and not the same bytes again
                most, since = self.n, time.monotonic()
            return shown

    def run() -> None:
        try:
            done.set_result(download(Bar))
        except BaseException as error:
            done.set_exception(error)

    def through(seconds: float) -> bool:
        if time.monotonic() - since > STILL:
            raise TimeoutError
        return bool(wait([done], seconds).done)

    threading.Thread(target=run, daemon=True).start()
    try:
        progress.until(through)
        return done.result()
    finally:
        over.set()


def fetch(source: str, patterns: Sequence[str], groups: Sequence[Sequence[str]] = ()) -> Path:
    """The folder of a repository of the Hub, "owner/name" or "owner/name@revision", from its cache or downloaded.

    Taken are the files of `patterns`, and of each group the first that there is. ModelError, a sentence for each thing
    that can go wrong, when they cannot be had.
    """
    name, _, revision = source.partition("@")
    wanted = {"repo_id": name, "revision": revision or None}

    def download(bar: type[tqdm]) -> Path:
        files = HfApi().list_repo_files(name, revision=revision or None) if groups else ()
        chosen = [next((file for file in group if file in files), group[0]) for group in groups]
        return Path(snapshot_download(**wanted, tqdm_class=bar, allow_patterns=[*patterns, *chosen]))

    try:
        if not online():
            folder = Path(snapshot_download(**wanted, local_files_only=True, allow_patterns=list(patterns)))
            if not all(any((folder / file).exists() for file in group) for group in groups):
                raise errors.LocalEntryNotFoundError("Half of it is here.")
            return folder
        return patiently(source, download)
    except errors.GatedRepoError as error:
        raise ModelError(f"{source} is gated: accept its terms on the Hub, then log in with: hf auth login") from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(f"{name} has no revision of that name.") from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(f"There is no model {name} on the Hub, or it is private.") from error
    except errors.LocalEntryNotFoundError as error:
        message = f"{source} is not on this machine, and the Hub cannot be reached. The built-in model is always there."
        raise ModelError(message) from error
    except (errors.HTTPError, OSError) as error:  # the first is that of the Hub's client, whichever it is built on
        raise ModelError(f"The download of {source} was interrupted: try again, and it goes on.") from error
