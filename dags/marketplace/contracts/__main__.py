"""Say whether all contracts can be read: `python -m marketplace.contracts` (a hook of `make lint`)."""

from __future__ import annotations

import sys

from marketplace.contracts import ContractError, load_contracts


def main() -> int:
    """Return 0 when every contract is right, else 1, having said what is wrong."""
    try:
        load_contracts()
    except ContractError as error:
        sys.stderr.write(f"include/contracts/{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
