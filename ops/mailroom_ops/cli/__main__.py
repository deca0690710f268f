"""`python -m mailroom_ops.cli`, where the command itself is not installed."""

import sys

from mailroom_ops.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
