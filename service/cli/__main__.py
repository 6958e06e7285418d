"""`python -m service.cli`: the `lakesift` command where its script is not installed."""

import sys

from service.cli.main import main

sys.exit(main())
