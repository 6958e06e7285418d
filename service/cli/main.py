"""The `lakesift` command: runs one verb, and turns what it raises into a sentence and an exit code.

Results go to stdout, talk to stderr. Exit codes: 0 done, 1 failed, 2 used wrongly, 3 a filter
refused its promise, 130 interrupted (what was done is committed). Heavy modules are imported by the
verb that needs them, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from indexer.errors import BadRequest, LakeError, WhereError
from indexer.sources.names import one_line
from service.cli.arguments import parser
from service.cli.codes import DONE, FAILED, INTERRUPTED, USAGE
from service.cli.terminal import without_codes
from service.cli.text_streams import use_utf8


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    if argv is None:
        use_utf8()
    arguments = parser().parse_args(argv)
    with without_codes(), _seeing_interrupts() as interrupted:
        try:
            return _run(arguments)
        except Exception:
            # Compiled modules turn a Ctrl-C that meets them while they load into errors of their
            # own.
            if not interrupted():
                raise
            return _told_interrupted()


@contextmanager
def _seeing_interrupts() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed, whatever became of the KeyboardInterrupt."""
    seen: list[int] = []

    def see(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    plain = signal.getsignal(signal.SIGINT)
    if (
        plain is not signal.default_int_handler
        or threading.current_thread() is not threading.main_thread()
    ):
        yield lambda: False
        return
    signal.signal(signal.SIGINT, see)
    try:
        yield lambda: bool(seen)
    finally:
        signal.signal(signal.SIGINT, plain)


def _told_interrupted() -> int:
    print("lakesift: interrupted", file=sys.stderr)
    return INTERRUPTED


def _run(arguments: argparse.Namespace) -> int:
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except (BadRequest, WhereError) as error:
        return _complain(error, USAGE)
    except LakeError as error:
        return _complain(error, FAILED)
    except KeyboardInterrupt:
        return _told_interrupted()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    # a full or failing disk under `compact` or `vacuum`; `sync` says it itself
    except OSError as error:
        return _complain(
            LakeError(
                f"{error.filename or 'standard output, or the lake'}: {error.strerror or error}"
            ),
            FAILED,
        )


def _complain(error: LakeError, code: int) -> int:
    print(f"lakesift: {one_line(str(error))}", file=sys.stderr)
    return code
