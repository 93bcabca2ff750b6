"""The alarms: which there are, whom they tell, and that each of those on what the DAGs measure goes off."""

from __future__ import annotations

import functools
import json
from typing import Any

from infra import deploy as tool
from local.supervisor import wait_until
from tests.infra import templates

deploy = functools.partial(tool.deploy, timeout=30)

# What the DAGs measure, and a number that is too much.
CUSTOM = {
    "file-not-ingested": ("OldestWaitingFileSeconds", 1801.0),
    "rejected-share": ("RejectedShare", 20.5),
    "sync-lag": ("SyncSecondsBehind", 3601.0),
    "sync-differences": ("SyncDifferences", 1.0),
    "notifications-unaccounted": ("NotificationsUnaccounted", 1.0),
    "deadlines-missed": ("DeadlinesMissed", 1.0),
    "dashboard-behind": ("DashboardSecondsBehind", 7201.0),
}


def alarms() -> dict[str, dict[str, Any]]:
    """All alarms of all templates by the end of their names."""
    return {
        alarm["AlarmName"]["Fn::Sub"].removeprefix("${Project}-${Environment}-"): alarm
        for alarm in templates.of_type("AWS::CloudWatch::Alarm").values()
    }


def test_these_alarms_watch_everything_that_was_named():
    watched = {name: (alarm["Namespace"], alarm["MetricName"]) for name, alarm in alarms().items()}

    own = {"Fn::Sub": "${Project}-${Environment}"}
    assert watched == {
        **{name: (own, metric) for name, (metric, _) in CUSTOM.items()},
        "landing-dead-letter-not-empty": ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        "landing-oldest-event": ("AWS/SQS", "ApproximateAgeOfOldestMessage"),
        "notifications-dead-letter-not-empty": ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        "notifications-dead-letter-age": ("AWS/SQS", "ApproximateAgeOfOldestMessage"),
        "notifications-oldest": ("AWS/SQS", "ApproximateAgeOfOldestMessage"),
        "api-errors": ("AWS/Lambda", "Errors"),
        "api-throttles": ("AWS/Lambda", "Throttles"),
        "api-5xx": ("AWS/ApiGateway", "5xx"),
        "api-latency": ("AWS/ApiGateway", "Latency"),
        "store-cpu": ("AWS/RDS", "CPUUtilization"),
        "store-storage": ("AWS/RDS", "FreeStorageSpace"),
        "store-connections": ("AWS/RDS", "DatabaseConnections"),
        "store-memory": ("AWS/RDS", "FreeableMemory"),
        "warehouse-capacity": ("AWS/Redshift-Serverless", "ComputeCapacity"),
        "airflow-queue": ("AmazonMWAA", "QueuedTasks"),
        "airflow-heartbeat": ("AmazonMWAA", "SchedulerHeartbeat"),
        "backup-failed": ("AWS/Backup", "NumberOfBackupJobsFailed"),
    }


def test_every_alarm_tells_the_topic_when_it_begins_and_when_it_is_over():
    topic = [{"Fn::ImportValue": {"Fn::Sub": "${Project}-${Environment}-AlarmTopicArn"}}]

    assert {
        name for name, alarm in alarms().items() if alarm["AlarmActions"] != topic or alarm["OKActions"] != topic
    } == set()


def test_where_a_number_must_come_its_absence_is_an_alarm():
    breaching = {name for name, alarm in alarms().items() if alarm["TreatMissingData"] == "breaching"}

    assert breaching == {
        *("file-not-ingested", "sync-lag", "airflow-heartbeat"),
        *("store-cpu", "store-storage", "store-connections", "store-memory"),
    }


def test_each_alarm_on_what_the_dags_measure_goes_off_and_tells_and_ends(emulator, parameters):
    outputs = deploy("local", parameters)
    cloudwatch, sqs = emulator("cloudwatch"), emulator("sqs")
    queue = sqs.create_queue(QueueName="on-call")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    emulator("sns").subscribe(TopicArn=outputs["AlarmTopicArn"], Protocol="sqs", Endpoint=arn)

    def put(values: dict[str, float]) -> None:
        data = [{"MetricName": name, "Value": value} for name, value in values.items()]
        cloudwatch.put_metric_data(Namespace=outputs["MetricsNamespace"], MetricData=data)

    def states() -> dict[str, str]:
        found = cloudwatch.describe_alarms(AlarmNamePrefix="marketplace-local-")["MetricAlarms"]
        every = {alarm["AlarmName"].removeprefix("marketplace-local-"): alarm["StateValue"] for alarm in found}
        return {name: every[name] for name in CUSTOM}

    assert states() == dict.fromkeys(CUSTOM, "INSUFFICIENT_DATA")
    put({metric: 0.0 for metric, _ in CUSTOM.values()})
    wait_until(lambda: states() == dict.fromkeys(CUSTOM, "OK"), 20, lambda: f"not all are OK: {states()}")

    put(dict(CUSTOM.values()))
    wait_until(lambda: states() == dict.fromkeys(CUSTOM, "ALARM"), 20, lambda: f"not all have gone off: {states()}")

    told: dict[str, set[str]] = {}
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            said = json.loads(json.loads(message["Body"])["Message"])
            told.setdefault(said["NewStateValue"], set()).add(said["AlarmName"].removeprefix("marketplace-local-"))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert told["ALARM"] == set(CUSTOM)
