"""Lets the tests here, and the programs they start, import what lies beside them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
