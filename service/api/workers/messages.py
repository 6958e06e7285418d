"""What a supervisor and its workers say to each other: lines of JSON over a pair of sockets.

Settings and secrets travel here and not on a command line, which every user of a machine can read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from indexer.errors import BadRequest, LakeError
from service.api.config import ServeConfig

# to a worker, after its duty
DRAIN, END, END_NOW = b"drain\n", b"end\n", b"now\n"


@dataclass(frozen=True, slots=True)
class Duty:
    """The first line to a worker: what it serves, and with whom."""

    lakes: tuple[str, ...]  # as they were named
    config: ServeConfig
    folder: str  # of what the workers share
    worker: int  # which of them it is, from 0
    replaces: bool  # it takes the place of one that died

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Duty:
        facts = json.loads(line)
        knobs: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in facts.pop("config").items()
        }
        return cls(**{**facts, "lakes": tuple(facts["lakes"]), "config": ServeConfig(**knobs)})


@dataclass(frozen=True, slots=True)
class Report:
    """A line from a worker."""

    kind: Literal["opened", "serving", "refused"]
    # of what it opened, for people; of what it refused to serve, why
    sentences: tuple[str, ...] = ()
    field: str | None = None  # of a BadRequest

    @classmethod
    def of_error(cls, error: LakeError) -> Report:
        if isinstance(error, BadRequest):
            return cls("refused", (error.reason,), error.field)
        return cls("refused", (str(error),))

    def error(self) -> LakeError:
        """What the worker raised, as far as its words and its exit code go."""
        [why] = self.sentences
        return LakeError(why) if self.field is None else BadRequest(self.field, why)

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Report:
        facts: dict[str, Any] = json.loads(line)
        return cls(facts["kind"], tuple(facts["sentences"]), facts["field"])


class Lines:
    """Whole lines of what comes in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def of(self, piece: bytes) -> Iterator[bytes]:
        *whole, self._rest = (self._rest + piece).split(b"\n")
        yield from whole
