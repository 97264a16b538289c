"""`python -m local`: the commands behind the Makefile's local targets."""

import sys

try:
    from local.commands import main  # takes a second, in which Ctrl-C may come
except KeyboardInterrupt:
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main())
