"""The write side of lakesift: images in, a lake out. Knows nothing of HTTP, queries or people."""

import os

# Lakesift sends nothing anywhere. ONNX Runtime's wheels do, unless this is set before they are
# imported: from 1.32 on Linux as well they keep a device id and a queue of events under the user's
# cache folder, and look up Microsoft's collector. Inherited by all processes that are started from
# here.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
