"""`python -m cli`: the `evenhand` command."""

import sys

from cli.main import main

sys.exit(main())
