"""Which images of a lake to label: chosen for what they stand for, within limits, and measured."""
