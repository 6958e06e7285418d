"""nuScenes: pictures of a car's cameras, and tables that say of each where and when it was taken,
and which things stood around the car.

Source: https://github.com/nutonomy/nuscenes-devkit/blob/master/docs/schema_nuscenes.md
"""
