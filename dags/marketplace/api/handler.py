"""What Lambda calls: `marketplace.api.handler.handler`."""

from __future__ import annotations

import logging
import sys

from mangum import Mangum

from marketplace.api import config
from marketplace.api.app import create_app

# Lines of JSON, as they are, instead of Lambda's own format.
logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING, force=True)
logging.getLogger("marketplace.api").setLevel(logging.INFO)

handler = Mangum(create_app(config.from_settings()), lifespan="off")
