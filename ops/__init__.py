"""The operator's program, `./heist COMMAND`: one module per command."""

import sys
from pathlib import Path

# The functions' own rules and shapes, so that the tool cannot disagree with what is deployed.
sys.path.append(str(Path(__file__).parent.parent / "layers" / "heist_core"))
