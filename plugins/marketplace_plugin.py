"""The Marketplace page in Airflow's UI: docs/marketplace-page.md.

Every process of Airflow loads its plugins, each task's too. So the page itself, with all of FastAPI, is imported by the
API server alone, which is the only one to ask for `fastapi_apps`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin


class MarketplacePlugin(AirflowPlugin):
    """A page in the navigation; the API server mounts what is behind it."""

    name = "marketplace"
    external_views = [  # noqa: RUF012 - as Airflow declares it
        {
            "name": "Market",  # the navigation shows about ten letters
            "href": "/marketplace/",
            "destination": "nav",
            "url_route": "market",
            "icon": "/marketplace/static/icon.svg",
            "icon_dark_mode": "/marketplace/static/icon-dark.svg",
        }
    ]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The app that answers under /marketplace."""
        from marketplace_page.app import create_app

        return [{"app": create_app(), "url_prefix": "/marketplace", "name": "marketplace"}]
