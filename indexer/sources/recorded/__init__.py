"""Sets that robots and cars recorded, as sources: LeRobot and nuScenes.

Such a set is a folder of pictures or videos with tables that say of each picture which camera took
it, when, and what else was known then. The tables are somebody else's data: what they name is read
inside the set's own folder alone.
"""
