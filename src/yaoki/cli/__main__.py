"""`python -m yaoki.cli` is `yaoki`."""

import sys

from yaoki.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
