"""What photos are often of, in words that a model of images and texts knows: what the first screen
may offer where a lake's own captions say nothing. Each is offered only where images match it.
"""

_WORDS = """
    a person; a crowd of people; a child; a face; hands; a portrait; a wedding; a football
    match; a concert; a cat; a dog; a horse; a cow; a sheep; a bird; a fish; an insect; a
    butterfly; a bear; an elephant; flowers; a tree; a forest; mushrooms; fruit; vegetables;
    bread; a cake; a cup of coffee; a plate of food; a bottle; a mountain; a beach; the sea; a
    lake; a river; a waterfall; a desert; a snowy landscape; a field; a garden; the sky with
    clouds; a sunset; the night sky; the moon; a galaxy; a satellite image; a map; a street; a
    crossing with traffic lights; a traffic jam; a motorway; a parking lot; a bridge; a tunnel;
    a building; a tower; a church; a castle; a house; a shop; a market; a construction site; a
    factory; a warehouse; an airport; a train station; a car; a bus; a lorry; a bicycle; a
    motorcycle; a train; a tram; a boat; a ship; an aeroplane; a helicopter; a rocket; a
    tractor; a pedestrian; a cyclist; a road sign; rain on a windscreen; fog; snow; a dark scene
    at night; an overexposed image; a kitchen; a bedroom; a bathroom; an office; a classroom; a
    library; a corridor; a staircase; a hospital room; a laboratory; a table; a chair; a bed; a
    sofa; a lamp; a door; a window; a mirror; a clock; a vase; a toy; a ball; a book; a bag; a
    computer; a phone; a camera; a television; a keyboard; a robot; a tool; a machine; a cable;
    coins; clothes; shoes; a hat; a drawing; a painting; a cartoon; a logo; a diagram; a chart;
    a screenshot; handwriting; a printed page; a receipt; a barcode; an x-ray; cells under a
    microscope; a tissue sample; a brain scan; a retina; a brick wall; gravel; grass; wood
    grain; fabric; a metal surface; a pattern; a black and white photo; a blurred image
    """

VOCABULARY = tuple(" ".join(each.split()) for each in _WORDS.split(";"))
