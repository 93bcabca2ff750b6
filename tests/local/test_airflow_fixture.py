"""That a DAG run in this process reaches the platform's parts by the connections that it would have on AWS."""

from __future__ import annotations

import pytest

from local.platform import Platform


@pytest.mark.usefixtures("airflow_db")
def test_a_task_finds_its_connection_in_the_emulators_secrets_manager(platform: Platform):
    from airflow.sdk import BaseHook, dag, task

    found: list[object] = []

    @dag(schedule=None)
    def connects() -> None:
        @task
        def look() -> None:
            connection = BaseHook.get_connection("store_writer")
            found.append(
                (connection.host, connection.port, connection.login, connection.password, connection.schema)
            )

        look()

    assert connects().test().state == "success"
    state = platform.state
    assert found == [
        ("127.0.0.1", state.ports["postgres"], "store_writer", state.passwords["store_writer"], "store")
    ]
