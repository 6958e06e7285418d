"""Finding a model by the name a user types.
Imports no model's packages until one is loaded or listed.
"""

from __future__ import annotations

import difflib
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from indexer.errors import BadRequest

BUILTIN = "builtin"
OPEN_CLIP = "open_clip:"
HUB = "hf-hub:"
FOLDER = "local-dir:"
RANDOM = "random"
PRECISIONS = ("fp32", "bf16", "fp16", "int8")


@dataclass(frozen=True, slots=True)
class ModelName:
    """One model, however its name was spelled; str() is the one spelling that lakesift writes.

    Exactly one of `tag` and `weights` is set for an architecture of open_clip's; neither for a
    `hf-hub:` repository and for a `local-dir:` folder, which hold their own weights. `builtin` has
    `weights` where it is a folder of the user's own.
    """

    architecture: str  # "builtin", "ViT-B-32", "hf-hub:ORG/REPO", "local-dir:/FOLDER"
    # whose weights, by open_clip's name: "laion2b_s34b_b79k"; "random": none
    tag: str | None = None
    weights: Path | None = None  # a weights file, or builtin's folder, on this disk; absolute

    @classmethod
    def parse(cls, text: str) -> ModelName:
        """Understand `builtin`, `builtin@/path/to/my.model`,
        `open_clip:ARCH/TAG` and other tools' spellings.

        Those are ARCH::TAG (clip-as-service), ARCH__TAG (immich), ARCH@/path/to/weights,
        hf-hub:ORG/REPO and local-dir:/FOLDER (open_clip), each with or without `open_clip:` before
        it. Case does not matter in ARCH, nor do - and _ in TAG; whether TAG exists is only known
        once open_clip is loaded.

        :raises BadRequest: if the name is not understood, or open_clip is installed and has no such
            architecture.
        """
        body = text.strip().removeprefix(OPEN_CLIP)
        if body.partition("@")[0] == BUILTIN:
            return cls(BUILTIN, weights=_folder(text, body))
        if body.startswith(HUB):
            return cls(HUB + _repository(text, body.removeprefix(HUB)))
        if body.startswith(FOLDER):
            return cls(FOLDER + str(_absolute(text, body.removeprefix(FOLDER))))
        architecture, separator, source = _split(body)
        if not separator:
            raise BadRequest("model", _not_a_name(text, body))
        architecture = _known(architecture)
        if not source:
            raise BadRequest("model", f"{text!r} names no weights; {_how_to_name(architecture)}")
        if separator == "@" and source != RANDOM:
            return cls(architecture, weights=_absolute(text, source))
        return cls(architecture, tag=source.lower().replace("-", "_"))

    def __str__(self) -> str:
        if self.architecture == BUILTIN:
            return BUILTIN if self.weights is None else f"{BUILTIN}@{self.weights}"
        if self.weights is not None:
            return f"{OPEN_CLIP}{self.architecture}@{self.weights}"
        return f"{OPEN_CLIP}{self.architecture}" + (f"/{self.tag}" if self.tag else "")


def architectures() -> list[str]:
    """open_clip's architectures, read from its folder:
    importing it would load torch, which takes seconds.
    """
    loaded = sys.modules.get("open_clip")
    if loaded is not None:  # knows those that were added in this process, too
        names: list[str] = loaded.list_models()
        return names
    spec = find_spec("open_clip")
    folders = spec.submodule_search_locations if spec is not None else None
    return sorted(
        file.stem
        for folder in folders or ()
        for file in Path(folder, "model_configs").glob("*.json")
    )


def nearest(word: str, words: list[str]) -> str:
    """ "; did you mean 'X'?" for the word most like this one, or nothing where none is."""
    by_lower = {known.lower(): known for known in words}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean {by_lower[close[0]]!r}?" if close else ""


def _folder(text: str, body: str) -> Path | None:
    """The model folder of `builtin@FOLDER`; None for `builtin` alone."""
    _, separator, path = body.partition("@")
    if separator and not path:
        raise BadRequest(
            "model",
            f"{text!r} names no folder; write {BUILTIN}@/path/to/my.model, or {BUILTIN} alone",
        )
    return _absolute(text, path) if separator else None


def _split(body: str) -> tuple[str, str, str]:
    """(ARCH, separator, TAG or path).
    A path may hold any of the other separators, so @ is looked for first.
    """
    if "@" in body:
        return body.partition("@")
    for separator in ("::", "__", "/"):
        if separator in body:
            return body.rpartition(separator)
    return body, "", ""


def _known(architecture: str) -> str:
    """open_clip's own spelling of it; as it stands where open_clip is not installed."""
    spelled = architecture.replace("/", "-")  # OpenAI wrote ViT-B/32
    known = architectures()
    if not known or spelled in known:
        return spelled
    same = [name for name in known if name.lower() == spelled.lower()]
    if same:
        return same[0]
    raise BadRequest(
        "model", f"open_clip has no architecture {architecture!r}{nearest(spelled, known)}"
    )


def _not_a_name(text: str, body: str) -> str:
    known = architectures()
    if body.lower() in (name.lower() for name in known):
        return f"{text!r} names no weights; {_how_to_name(_known(body))}"
    return f"there is no model {text!r}{nearest(body, [BUILTIN, *known])} (see: lakesift models)"


def _how_to_name(architecture: str) -> str:
    return f"write {OPEN_CLIP}{architecture}/TAG or {OPEN_CLIP}{architecture}@/path/to/weights (see: lakesift models)"


def _repository(text: str, repository: str) -> str:
    parts = repository.strip("/").split("/")
    if len(parts) != 2 or not all(parts):
        raise BadRequest("model", f"{text!r} is not of the form {OPEN_CLIP}{HUB}ORG/REPO")
    return "/".join(parts)


def _absolute(text: str, path: str) -> Path:
    if not path:
        raise BadRequest("model", f"{text!r} names no path")
    return Path(path).expanduser().absolute()
