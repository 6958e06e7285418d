"""The lake folder, format 1: what lies where,
how it is written so that a crash loses nothing, how it is checked.
"""
