"""A box for a process that works on what strangers sent: it closes the process in from inside, for
good. Knows nothing of images.
"""

from indexer.box.box import Box, close
from indexer.box.lifeline import die_with

__all__ = ["Box", "close", "die_with"]
