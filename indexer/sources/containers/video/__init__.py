"""Videos, read by the system's ffmpeg in a box."""
