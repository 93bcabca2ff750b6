"""The AWS emulator with what this platform adds: resource types, and identities with the rights of their roles.

Runs in the emulator's own Python environment, in place of its program `ministack`, with -P: this directory has a
platform.py, and so has the standard library.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from local import identities, resource_types

if __name__ == "__main__":
    state_directory = Path(os.environ["STATE_DIR"])
    resource_types.install(state_directory)
    if os.environ.get("AUTH") == "true":  # tests of single resource types ask for no rights
        identities.install(state_directory)
    import_module("ministack.app").main()
