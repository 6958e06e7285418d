"""Where open_clip's weights are: on this disk, or one download away.

Knows file names and caches; runs no model. Imported only where the open-clip extra is installed.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import open_clip
from huggingface_hub import constants as hub
from huggingface_hub import try_to_load_from_cache
from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME
from open_clip.pretrained import download_pretrained_from_hf

from indexer.embed.catalog import FOLDER, HUB, OPEN_CLIP, ModelName, nearest
from indexer.errors import BadRequest, ModelUnavailable

T = TypeVar("T")

# what a hub repository or a folder says of its architecture and preprocessing
CONFIG = "open_clip_config.json"
# huggingface_hub alone retries an unreachable hub for 23 s (measured), several times a model
PROBE_S = 5.0


def tag_config(name: ModelName) -> Mapping[str, Any]:
    """What open_clip knows of a tag: where its weights are,
    mean, std, interpolation, resize_mode, quick_gelu.

    :raises BadRequest: if the architecture has no such tag.
    """
    config: Mapping[str, Any] = open_clip.get_pretrained_cfg(name.architecture, name.tag)
    if not config:
        tags = open_clip.list_pretrained_tags_by_model(name.architecture)
        known = (
            f"it has {', '.join(tags)}"
            if tags
            else "it has none, name a weights file on disk instead"
        )
        raise BadRequest(
            "model",
            f"{name.architecture} has no weights named {name.tag!r}{nearest(str(name.tag), tags)} ({known})",
        )
    return config


def weights_on_disk(name: ModelName) -> Path | None:
    """The weights' file where it is on this disk already; looks only at files."""
    if name.weights is not None:
        return name.weights if name.weights.is_file() else None
    if name.architecture.startswith(HUB):
        repository = name.architecture.removeprefix(HUB)
        return _in_hub_cache(repository, CONFIG) and _in_hub_cache(
            repository, *_spellings(HF_WEIGHTS_NAME)
        )
    config = tag_config(name)
    if config.get("hf_hub"):
        repository, file = os.path.split(config["hf_hub"])
        found = _in_hub_cache(repository, *_spellings(file or HF_WEIGHTS_NAME))
        if found is not None:
            return found
    downloaded = Path("~/.cache/clip").expanduser() / os.path.basename(config.get("url") or "-")  # noqa: PTH119
    return downloaded if downloaded.is_file() else None


def find_weights(name: ModelName) -> Path:
    """The weights' file, downloaded where the name asks for it and a network is there.

    :raises BadRequest: if the architecture has no such tag.
    :raises ModelUnavailable: if the file is not there and cannot be fetched.
    """
    found = weights_on_disk(name)
    if found is not None:
        return found
    if name.weights is not None:
        what = (
            "is a folder; name the weights file in it"
            if name.weights.is_dir()
            else "is not a file on this disk"
        )
        raise ModelUnavailable(str(name), f"{name.weights} {what}")
    if name.architecture.startswith(HUB):
        repository = name.architecture.removeprefix(HUB)
        return _download(name, f"{repository} on the hub", lambda: _download_repository(repository))
    config = tag_config(name)
    where = config.get("hf_hub") or config["url"]
    return _download(name, where, lambda: Path(open_clip.download_pretrained(config)))


@contextmanager
def network_off() -> Iterator[None]:
    """Within, huggingface_hub (and so transformers and open_clip)
    reads its cache and opens no connection.

    The environment variable HF_HUB_OFFLINE is read once at import, too early for us; the hub's
    client asks the constant before each request.
    """
    before = hub.HF_HUB_OFFLINE
    hub.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE = before


def offline_if_possible(name: ModelName, make: Callable[[], T]) -> T:
    """make() without a network; a second time with one,
    if files were missing and the model was asked for by name.

    A weights file or folder on disk never gets that second time: text towers and tokenizers that
    open_clip takes from the hub (roberta, SigLIP) must lie beside it or in the hub's cache.

    :raises ModelUnavailable: if files are missing and there is no network, or it must not be used.
    """
    try:
        with network_off():
            return make()
    except OSError as error:  # the hub's and transformers' ways to say that a file is not cached
        if name.weights is not None or name.architecture.startswith(FOLDER):
            raise ModelUnavailable(
                str(name),
                "its text tower or tokenizer comes from Hugging Face and is not on this disk; put its config.json, "
                f"tokenizer.json and tokenizer_config.json beside the weights ({_first_line(error)})",
            ) from error
    return _download(name, "its text tower or tokenizer", make)


def _download(name: ModelName, what: str, fetch: Callable[[], T]) -> T:
    way_out = f"bring the file here and name it: {OPEN_CLIP}{name.architecture}@/path/to/weights"
    if name.architecture.startswith(HUB):
        way_out = (
            f"bring the repository here as a folder and name it: {OPEN_CLIP}{FOLDER}/path/to/folder"
        )
    if hub.HF_HUB_OFFLINE or not _reachable(hub.ENDPOINT):
        raise ModelUnavailable(
            str(name),
            f"its files ({what}) are not on this disk and {hub.ENDPOINT} cannot be reached; {way_out}",
        )
    try:
        return fetch()
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelUnavailable(
            str(name), f"fetching {what} failed ({_first_line(error)}); {way_out}"
        ) from error


def _download_repository(repository: str) -> Path:
    download_pretrained_from_hf(repository, filename=CONFIG)
    return Path(download_pretrained_from_hf(repository))


def _reachable(url: str) -> bool:
    """Whether anything answers there, asked once;
    an answer of 404 or a bad certificate is the next caller's matter.
    """
    try:
        with urlopen(Request(url, method="HEAD"), timeout=PROBE_S):
            return True
    except HTTPError:
        return True
    except URLError as error:
        return isinstance(error.reason, ssl.SSLError)
    except OSError:
        return False


def _in_hub_cache(repository: str, *files: str) -> Path | None:
    for file in files:
        found = try_to_load_from_cache(repository, file)
        if isinstance(found, str):
            return Path(found)
    return None


def _spellings(file: str) -> list[str]:
    """The names open_clip looks for, in its order:
    a repository may hold safetensors in place of a pickle.
    """
    safe = (
        HF_SAFE_WEIGHTS_NAME
        if file == HF_WEIGHTS_NAME
        else str(Path(file).with_suffix(".safetensors"))
    )
    return list(dict.fromkeys([safe, file]))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
