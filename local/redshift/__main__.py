"""Run the endpoint: python -m local.redshift PORT POSTGRES_PORT, with the AWS variables of the emulator."""

from __future__ import annotations

import os
import sys

from local.ports import HOST
from local.redshift.server import serve


def main() -> None:
    """Serve until a signal ends the process."""
    port, postgres_port = map(int, sys.argv[1:])
    # In a container, what listens on loopback only cannot be published.
    serve(os.environ.get("BIND_HOST", HOST), port, postgres_port)


if __name__ == "__main__":
    main()
