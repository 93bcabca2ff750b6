"""The assets by which the DAGs start one another; the asset graph of the UI is drawn from them."""

from __future__ import annotations

from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger
from airflow.sdk import Asset, AssetAlias, AssetWatcher

from marketplace import settings

# What ingestion really changed is known only when it has run: it announces those tables through this alias.
INGESTED = AssetAlias("ingested")
# The same of what else changes tables: the live changes of mock data, and what is mended by hand.
CHANGED = AssetAlias("changed")

# The tables that the warehouse has as well: whoever changes one of them starts its sync.
SYNCED = [
    "geo.area", "ops.notification_account", "store.customer", "store.game", "store.game_alias", "store.game_release",
    "store.notification_rule", "store.notification_text", "store.play_session", "store.publisher",
    "store.publisher_alias", "store.transaction", "store.transaction_line", "store.wishlist",
]  # fmt: skip
# Those that come along, since nobody announces them: they change with others, or tell of a load that changed nothing.
SYNCED_ALONG = ["geo.area_cell", "ops.load_account", "ops.load_finding"]
IN_WAREHOUSE = sorted([*SYNCED, *SYNCED_ALONG])
# What a sync really changed is known only when it has run.
SYNC = AssetAlias("synced")
# The warehouse as a whole, when a sync has changed it and the comparison with the store has found no difference.
WAREHOUSE = Asset(name="warehouse", group="warehouse")
MARTS = [
    "mart.data_quality", "mart.notification", "mart.payout", "mart.play", "mart.play_cell", "mart.play_hour",
    "mart.revenue",
]  # fmt: skip
# The page in the report bucket.
DASHBOARD = Asset(name="dashboard", group="reports")


def landing() -> Asset:
    """Return the asset of the landing prefix: S3 tells a queue of each new file, and the triggerer listens to it.

    The message only wakes ingestion up; which files there are is asked of the bucket and the ledger.
    """
    trigger = MessageQueueTrigger(
        scheme="sqs",
        sqs_queue=settings.landing_queue_url(),
        max_messages=10,
        wait_time_seconds=5,
        waiter_delay=1,
    )
    return Asset(
        name="landing",
        uri=f"s3://{settings.landing_bucket()}/landing/",
        group="files",
        watchers=[AssetWatcher(name="landing_queue", trigger=trigger)],
    )


def table(name: str) -> Asset:
    """Return the asset of a table of the store, such as store.transaction."""
    return Asset(name=name, group="store")


def mart(name: str) -> Asset:
    """Return the asset of a mart, such as mart.revenue."""
    return Asset(name=name, group="warehouse")
