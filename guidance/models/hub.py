"""The Hugging Face Hub: is it there, and the files of a repository."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import HfApi, constants, errors, snapshot_download
from tqdm import tqdm

from guidance import progress
from guidance.models.device import ModelError


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


def bar(name: str) -> type[tqdm]:
    """A bar for huggingface_hub that tells how far the download of something is."""

    class Bar(tqdm):
        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            if self.unit == "B":
                progress.downloaded(name, int(self.n), int(self.total or 0))
            return shown

    return Bar


def fetch(source: str, patterns: Sequence[str], groups: Sequence[Sequence[str]] = ()) -> Path:
    """The folder of a repository of the Hub, "owner/name" or "owner/name@revision", from its cache or downloaded.

    Taken are the files of `patterns`, and of each group the first that there is. ModelError, a sentence for each thing
    that can go wrong, when they cannot be had.
    """
    name, _, revision = source.partition("@")
    wanted = {"repo_id": name, "revision": revision or None, "tqdm_class": bar(source)}
    try:
        if not online():
            return Path(snapshot_download(**wanted, local_files_only=True, allow_patterns=list(patterns)))
        files = HfApi().list_repo_files(name, revision=revision or None) if groups else ()
        chosen = [next((file for file in group if file in files), group[0]) for group in groups]
        return Path(snapshot_download(**wanted, allow_patterns=[*patterns, *chosen]))
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
