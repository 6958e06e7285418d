"""The files of a labelled set: found, read with their faults, and joined with images."""
