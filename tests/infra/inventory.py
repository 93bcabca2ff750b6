"""Ask each service what is in the account, so that two states of it can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

# What an API tells of the moment and not of the resource. (Id: of a bucket's notification, made up at each change.)
VOLATILE = {"ResponseMetadata", "Id", "AlarmConfigurationUpdatedTimestamp", "StateUpdatedTimestamp"} | {
    f"{end}RestorableDateTime" for end in ("Earliest", "Latest")
}


def of(client: Callable[[str], Any]) -> dict[str, Any]:
    """Return every resource of the account with all that its API tells of it: {kind and id: description}."""
    return {key: _lasting(description) for key, description in _all(client)}


def _all(client: Callable[[str], Any]) -> Iterator[tuple[str, Any]]:
    ec2, kms, logs, iam, rds = (client(service) for service in ("ec2", "kms", "logs", "iam", "rds"))
    for call, listed, key in (
        (ec2.describe_vpcs, "Vpcs", "VpcId"),
        (ec2.describe_subnets, "Subnets", "SubnetId"),
        (ec2.describe_internet_gateways, "InternetGateways", "InternetGatewayId"),
        (ec2.describe_nat_gateways, "NatGateways", "NatGatewayId"),
        (ec2.describe_addresses, "Addresses", "AllocationId"),
        (ec2.describe_route_tables, "RouteTables", "RouteTableId"),
        (ec2.describe_network_acls, "NetworkAcls", "NetworkAclId"),
        (ec2.describe_vpc_endpoints, "VpcEndpoints", "VpcEndpointId"),
        (ec2.describe_security_groups, "SecurityGroups", "GroupId"),
        (ec2.describe_flow_logs, "FlowLogs", "FlowLogId"),
        (ec2.describe_network_interfaces, "NetworkInterfaces", "NetworkInterfaceId"),
        (logs.describe_log_groups, "logGroups", "logGroupName"),
        (client("cloudwatch").describe_alarms, "MetricAlarms", "AlarmName"),
        (client("secretsmanager").list_secrets, "SecretList", "Name"),
        (kms.list_aliases, "Aliases", "AliasName"),
        (client("cloudformation").list_exports, "Exports", "Name"),
        (rds.describe_db_instances, "DBInstances", "DBInstanceIdentifier"),
        (rds.describe_db_parameter_groups, "DBParameterGroups", "DBParameterGroupName"),
        (rds.describe_db_snapshots, "DBSnapshots", "DBSnapshotIdentifier"),
        (rds.describe_db_subnet_groups, "DBSubnetGroups", "DBSubnetGroupName"),
        (client("sns").list_topics, "Topics", "TopicArn"),
        (client("cloudwatch").list_dashboards, "DashboardEntries", "DashboardName"),
        (client("lambda").list_functions, "Functions", "FunctionName"),
        (client("apigatewayv2").get_apis, "Items", "ApiId"),
        (client("ecr").describe_repositories, "repositories", "repositoryName"),
        (client("backup").list_backup_vaults, "BackupVaultList", "BackupVaultName"),
        (client("backup").list_backup_plans, "BackupPlansList", "BackupPlanId"),
        (iam.list_open_id_connect_providers, "OpenIDConnectProviderList", "Arn"),
        (lambda: client("cognito-idp").list_user_pools(MaxResults=10), "UserPools", "Id"),
        (lambda: client("budgets").describe_budgets(AccountId=12 * "0"), "Budgets", "BudgetName"),
    ):
        for description in call()[listed]:
            # A deleted NAT gateway is described for an hour.
            if description.get("State") != "deleted":
                yield f"{listed} {description[key]}", description
    backup = client("backup")
    for plan in backup.list_backup_plans()["BackupPlansList"]:
        for selection in backup.list_backup_selections(BackupPlanId=plan["BackupPlanId"])["BackupSelectionsList"]:
            yield f"BackupSelections {selection['SelectionId']}", selection
    for group in rds.describe_db_parameter_groups()["DBParameterGroups"]:
        name = group["DBParameterGroupName"]
        parameters = rds.describe_db_parameters(DBParameterGroupName=name, Source="user")["Parameters"]
        yield f"DBParameters {name}", {parameter["ParameterName"]: parameter for parameter in parameters}
    for tag in ec2.describe_tags()["Tags"]:
        yield f"Tags {tag['ResourceId']} {tag['Key']}", tag["Value"]
    for key in kms.list_keys()["Keys"]:
        metadata = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        # A deleted key can be called back for as long as its window is open.
        if metadata["KeyState"] != "PendingDeletion":
            policy = kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"]
            rotation = kms.get_key_rotation_status(KeyId=key["KeyId"])
            yield f"Keys {key['KeyId']}", [metadata, policy, rotation, kms.list_resource_tags(KeyId=key["KeyId"])]
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        policies = [
            iam.get_role_policy(RoleName=name, PolicyName=policy)
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
        ]
        yield f"Roles {name}", [iam.get_role(RoleName=name), policies]
    dynamodb = client("dynamodb")
    for table in dynamodb.list_tables()["TableNames"]:
        described = dynamodb.describe_table(TableName=table)["Table"]
        yield (
            f"Tables {table}",
            [
                described,
                dynamodb.describe_time_to_live(TableName=table),
                dynamodb.describe_continuous_backups(TableName=table),
                dynamodb.list_tags_of_resource(ResourceArn=described["TableArn"]),
            ],
        )
    sqs = client("sqs")
    for url in sqs.list_queues().get("QueueUrls", []):
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        passing = {name for name in attributes if name.startswith("Approximate")} | {"LastModifiedTimestamp"}
        lasting = {name: value for name, value in attributes.items() if name not in passing}
        yield f"Queues {url}", [lasting, sqs.list_queue_tags(QueueUrl=url).get("Tags")]
    s3 = client("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        yield (
            f"Buckets {bucket['Name']}",
            [
                read(Bucket=bucket["Name"])
                for read in (
                    s3.get_bucket_encryption,
                    s3.get_bucket_lifecycle_configuration,
                    s3.get_bucket_notification_configuration,
                    s3.get_bucket_ownership_controls,
                    s3.get_bucket_policy,
                    s3.get_bucket_tagging,
                    s3.get_bucket_versioning,
                    s3.get_public_access_block,
                    s3.list_object_versions,
                )
            ],
        )


def _lasting(description: Any) -> Any:
    """The description without what changes by itself."""
    if isinstance(description, dict):
        return {name: _lasting(value) for name, value in description.items() if name not in VOLATILE}
    if isinstance(description, list):
        return [_lasting(value) for value in description]
    return description
