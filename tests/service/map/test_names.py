"""Names of clusters come from the captions there."""

import numpy as np

from service.map.names import names_of


def test_clusters_are_called_by_what_is_said_there_more_than_elsewhere() -> None:
    places = np.array([[-0.8, 0]] * 10 + [[0.8, 0]] * 10 + [[0, 0.9]] * 3, np.float32)
    captions = (
        ["a cat on a sofa", "the cat", "a dog and a cat", *["a cat"] * 7]
        + ["a tram in the rain"] * 6
        + ["a tram", None, "a photo of a tram", ""]
        + ["a lonely moose"] * 3
    )
    names = names_of(places, captions)
    assert [(round(each.x, 1), each.text) for each in names] == [(-0.8, "cat"), (0.8, "tram, rain")]
    assert names_of(places, [None] * 23) == ()
