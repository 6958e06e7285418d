"""What two sets of images of a lake have of each other that the other has not."""
