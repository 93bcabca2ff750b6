"""A container's health check: python -m local.healthcheck URL [PART]. Exit status 0 says that it is well.

With PART, the answer at URL is that of Airflow's health check, and PART is one of its names. Standard library only: it
runs every few seconds.
"""

from __future__ import annotations

import json
import sys
import urllib.request


def main(url: str, part: str = "") -> int:
    """Ask `url`; return 0 when it answers and, with `part`, says that this part is healthy."""
    try:
        with urllib.request.urlopen(url, timeout=4) as answer:  # noqa: S310 - always http on loopback
            body = answer.read()
    except OSError as error:
        print(f"{url} does not answer: {error}")
        return 1
    status = json.loads(body)[part]["status"] if part else "healthy"
    print(f"{part or url} is {status}")
    return 0 if status == "healthy" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
