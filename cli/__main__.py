"""`python -m evenhand`."""

import sys

from cli.main import main

sys.exit(main())
