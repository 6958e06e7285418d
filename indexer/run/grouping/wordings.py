"""Plain texts as people type them, for lakes that have no captions of their own."""

from __future__ import annotations

from itertools import product

THINGS = (
    "a dog", "a cat", "a horse", "a bird on a branch", "two cows", "sheep", "an elephant", "a fish",
    "a butterfly", "a spider", "a man", "a woman", "a child", "an old man", "a baby", "a crowd",
    "two people talking", "a nurse", "a doctor", "a worker in a helmet", "a soldier", "a cyclist",
    "a runner", "a swimmer", "a football player", "children playing", "a family", "a bride",
    "a car", "a red car", "a truck", "a bus", "a train", "an aeroplane", "a helicopter", "a boat",
    "a motorcycle", "a bicycle", "a tractor", "an ambulance", "a wheelchair", "a forklift",
    "a traffic light", "a road sign", "a bridge", "a church", "a tall building", "a wooden house",
    "a ruin", "a factory", "a ship", "a tent", "a bench", "a chair", "a table", "a bed", "a lamp",
    "a window", "a door", "stairs", "a bookshelf", "a computer", "a phone", "a camera", "a clock",
    "a guitar", "a piano", "a painting", "a statue", "a flag", "a poster", "a cup of coffee",
    "a bottle", "a glass of wine", "a cake", "a pizza", "fruit", "vegetables", "bread", "a meal",
    "flowers", "a tree", "leaves", "mushrooms", "rocks", "a waterfall", "a river", "a lake",
    "waves", "clouds", "fire", "smoke", "a tool", "a machine", "a robot", "cables", "boxes",
    "a bag", "shoes", "a hat", "an umbrella", "a ball", "a toy", "a map", "a document", "handwriting",
    "an X-ray", "a microscope image", "an aerial view", "a damaged wall", "a crack", "rust", "a leak",
)  # fmt: skip
SCENES = (
    "{}", "a photo of {}", "{} in a room", "{} in a kitchen", "{} in an office", "{} in a hospital",
    "{} in a corridor", "{} in a warehouse", "{} in a shop", "{} on a street", "{} in a city at night",
    "{} on a beach", "{} in the mountains", "{} in a forest", "{} in a field", "{} in the snow",
    "{} in the rain", "{} by the water", "{} at sunset", "{} in the dark", "{}, close up",
    "{} from far away", "{} from above", "{}, blurred", "{} in black and white", "a drawing of {}",
)  # fmt: skip


def wordings() -> list[str]:
    """All of them, some three thousand, each once, in one order."""
    return [scene.format(thing) for scene, thing in product(SCENES, THINGS)]
