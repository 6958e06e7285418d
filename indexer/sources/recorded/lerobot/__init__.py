"""LeRobot's data sets: episodes of a robot, as frames in mp4 files or in Parquet, and what the
robot's joints and tasks were at each frame.

Versions 2.0 and 2.1 have a file for each episode, version 3.0 has several in one.

Source: https://huggingface.co/docs/lerobot/lerobot-dataset-v3
"""
