"""The map of a lake: all its images as points, near each other where they look alike."""
