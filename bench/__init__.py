"""The promises about speed, measured (``python -m bench``). Linux only: it reads ``/proc`` and process clocks."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The makers of tick logs, Hermes stores and ill servers belong to the tests.
sys.path.insert(1, str(ROOT / "tests"))
