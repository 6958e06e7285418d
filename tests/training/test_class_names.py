"""Folder names as words."""

from __future__ import annotations

import pytest

from training.class_names import readable


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("n02123045-tabby_cat", "tabby cat"),
        ("n02085620_Chihuahua", "Chihuahua"),
        ("001.Black_footed_Albatross", "Black footed Albatross"),
        ("012_airplane", "airplane"),
        ("AnnualCrop", "annual crop"),
        ("MRIScan", "MRI scan"),
        ("brain MRI", "brain MRI"),
        ("DVDs", "DVDs"),
        ("wind-turbine__blade ", "wind turbine blade"),
        ("2-door car", "2 door car"),
        ("747-400 airliner", "747 400 airliner"),
        ("café", "café"),
        ("猫", "猫"),
    ],
)
def test_class_names_become_words(name: str, words: str) -> None:
    assert readable(name) == words


@pytest.mark.parametrize("name", ["n02123045", "001", "7", "737-800", "_", "001."])
def test_an_id_alone_is_no_name(name: str) -> None:
    assert readable(name) is None
