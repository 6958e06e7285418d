"""Image files from strangers: bytes -> checked,
upright RGB of a model's size, hashes, EXIF columns.
"""

from indexer.images.files import hash_bytes, hash_file, read_bytes, read_named
from indexer.images.fitting import fit
from indexer.images.reading import count_pixels, perceptual_hash, read_file, read_image
from indexer.read_image import ReadImage

__all__ = [
    "ReadImage",
    "count_pixels",
    "fit",
    "hash_bytes",
    "hash_file",
    "perceptual_hash",
    "read_bytes",
    "read_file",
    "read_image",
    "read_named",
]
