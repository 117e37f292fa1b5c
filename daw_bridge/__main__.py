"""`python -m daw_bridge`."""

import sys

from daw_bridge.cli.main import main

sys.exit(main())
