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
    "store.customer", "store.game", "store.game_alias", "store.game_release", "store.notification_rule",
    "store.play_session", "store.publisher", "store.publisher_alias", "store.transaction", "store.transaction_line",
    "store.wishlist",
]  # fmt: skip


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
