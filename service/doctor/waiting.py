"""Parts that somebody embedded and nobody committed, in a sentence."""

from __future__ import annotations

from pathlib import Path

from indexer.words import count


def parts_waiting(lake: Path) -> str | None:
    """How far they are and what to do with them; None: there are none.

    :raises LakeDamaged: if that cannot be told.
    """
    from indexer.parts.places import parts_state
    from indexer.parts.share import named

    state = parts_state(lake)
    if state is None:
        return None
    told = f"{state.done:,} of {count(state.of, 'part')} done, with {count(state.images, 'image')} not committed"
    told += f"; missing: {named(state.missing)}" if state.missing else ""
    return f"{told}; `lakesift commit {lake}` takes them in, with --discard throws them away"
