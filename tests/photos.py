"""Photos that come inside scikit-image and scikit-learn, for tests of models."""

from __future__ import annotations

import numpy as np
from PIL import Image

from indexer.arrays import Pixels


def sample_photos(side_px: int) -> dict[str, Pixels]:
    """Eight of them by what they show, each its middle square,
    brought to a model's size by hand.
    """
    from sklearn.datasets import load_sample_image

    photos = {
        "cat": sample("chelsea"),
        "rocket": sample("rocket"),
        "coffee": sample("coffee"),
        "astronaut": sample("astronaut"),
        "flower": load_sample_image("flower.jpg"),
        "temple": load_sample_image("china.jpg"),
        "photographer": sample("camera"),
        "page": sample("page"),
    }
    return {name: square(photo, side_px) for name, photo in photos.items()}


def sample(name: str) -> Pixels:
    """An image of scikit-image's, grey ones as RGB."""
    from skimage import data

    image = np.asarray(getattr(data, name)())
    return image if image.ndim == 3 else np.stack([image] * 3, axis=2)


def square(image: Pixels, side_px: int) -> Pixels:
    """The middle square at another size."""
    height, width, _ = image.shape
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    picture = Image.fromarray(image).crop((left, top, left + side, top + side))
    return np.asarray(picture.resize((side_px, side_px), Image.Resampling.BICUBIC))
