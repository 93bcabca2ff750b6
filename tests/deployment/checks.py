"""What must hold of a deployed environment, as seen from outside. Each check returns what is wrong, a line each.

A check asks the services, and not the templates: it holds of an account as of the emulator. `SkippedError` says that
there is nothing to ask here, and why. Each has mutations of the templates that it must notice: test_mutations.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from botocore.exceptions import ClientError

from tests.deployment.target import Target, denies_plain_http, pages

Check = Callable[[Target], Iterator[str]]

CHECKS: dict[str, Check] = {}


class SkippedError(Exception):
    """There is nothing to ask in this environment; the message says why."""


def check(function: Check) -> Check:
    """Enter a function among the checks."""
    CHECKS[function.__name__] = function
    return function


@check
def buckets_are_private(target: Target) -> Iterator[str]:
    """No bucket lets anything be public, whatever its objects say."""
    s3 = target.client("s3")
    for bucket in target.of_type("AWS::S3::Bucket"):
        try:
            found = s3.get_public_access_block(Bucket=bucket.physical_id)["PublicAccessBlockConfiguration"]
        except ClientError as error:
            yield f"{bucket}: {error.response['Error']['Code']}"
            continue
        names = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
        if missing := [name for name in names if not found.get(name)]:
            yield f"{bucket}: {', '.join(missing)} is off"


@check
def buckets_are_encrypted_with_our_key(target: Target) -> Iterator[str]:
    """Each bucket encrypts by KMS, with the environment's data key, or says that it holds code only."""
    s3 = target.client("s3")
    for bucket in target.of_type("AWS::S3::Bucket"):
        (rule,) = s3.get_bucket_encryption(Bucket=bucket.physical_id)["ServerSideEncryptionConfiguration"]["Rules"]
        default = rule["ApplyServerSideEncryptionByDefault"]
        if (default["SSEAlgorithm"], default.get("KMSMasterKeyID")) != ("aws:kms", target.outputs["DataKeyArn"]):
            yield f"{bucket}: encrypted by {default}"


@check
def buckets_refuse_plain_http(target: Target) -> Iterator[str]:
    """Each bucket's policy refuses what does not come by TLS."""
    s3 = target.client("s3")
    for bucket in target.of_type("AWS::S3::Bucket"):
        arn = f"arn:aws:s3:::{bucket.physical_id}"
        try:
            policy = s3.get_bucket_policy(Bucket=bucket.physical_id)["Policy"]
        except ClientError:
            yield f"{bucket}: has no policy"
            continue
        if not denies_plain_http(policy, arn, f"{arn}/*"):
            yield f"{bucket}: its policy does not refuse plain HTTP"


@check
def landed_files_are_told_to_the_queue(target: Target) -> Iterator[str]:
    """The landing bucket keeps versions, and tells the landing queue of each object under landing/."""
    s3, bucket = target.client("s3"), target.outputs["LandingBucket"]
    if s3.get_bucket_versioning(Bucket=bucket).get("Status") != "Enabled":
        yield f"{bucket}: keeps no versions"
    told = s3.get_bucket_notification_configuration(Bucket=bucket).get("QueueConfigurations", [])
    rules = [
        (queue["QueueArn"], queue["Events"], [tuple(rule.values()) for rule in queue["Filter"]["Key"]["FilterRules"]])
        for queue in told
    ]
    prefixes = [(arn, events, [(name.lower(), value) for name, value in found]) for arn, events, found in rules]
    if (target.outputs["LandingQueueArn"], ["s3:ObjectCreated:*"], [("prefix", "landing/")]) not in prefixes:
        yield f"{bucket}: tells {told}"


@check
def queues_have_a_dead_letter_queue(target: Target) -> Iterator[str]:
    """What is received in vain goes to another queue of this environment, which takes it from that queue alone."""
    sqs = target.client("sqs")
    attributes = {
        queue: sqs.get_queue_attributes(QueueUrl=queue.physical_id, AttributeNames=["All"])["Attributes"]
        for queue in target.of_type("AWS::SQS::Queue")
    }
    dead_letter = {
        json.loads(one["RedrivePolicy"])["deadLetterTargetArn"]: one["QueueArn"]
        for one in attributes.values()
        if "RedrivePolicy" in one
    }
    arns = {one["QueueArn"] for one in attributes.values()}
    for queue, found in attributes.items():
        if found["QueueArn"] not in dead_letter:
            if json.loads(found.get("RedrivePolicy", "{}")).get("deadLetterTargetArn") not in arns:
                yield f"{queue}: has no dead-letter queue"
            continue
        sources = json.loads(found.get("RedriveAllowPolicy", "{}")).get("sourceQueueArns")
        if sources != [dead_letter[found["QueueArn"]]]:
            yield f"{queue}: takes dead letters of {sources}"


@check
def queues_are_encrypted_and_refuse_plain_http(target: Target) -> Iterator[str]:
    """Each queue encrypts what waits in it, and refuses what does not come by TLS."""
    sqs = target.client("sqs")
    for queue in target.of_type("AWS::SQS::Queue"):
        found = sqs.get_queue_attributes(QueueUrl=queue.physical_id, AttributeNames=["All"])["Attributes"]
        if found.get("SqsManagedSseEnabled") != "true" and not found.get("KmsMasterKeyId"):
            yield f"{queue}: is not encrypted"
        if "Policy" not in found or not denies_plain_http(found["Policy"], found["QueueArn"]):
            yield f"{queue}: its policy does not refuse plain HTTP"


@check
def tables_are_encrypted_and_can_be_recovered(target: Target) -> Iterator[str]:
    """Each DynamoDB table is encrypted with the data key, expires its items, and has point-in-time recovery."""
    dynamodb = target.client("dynamodb")
    for table in target.of_type("AWS::DynamoDB::Table"):
        name = table.physical_id
        encryption = dynamodb.describe_table(TableName=name)["Table"].get("SSEDescription", {})
        if encryption.get("KMSMasterKeyArn") != target.outputs["DataKeyArn"]:
            yield f"{table}: encrypted by {encryption}"
        backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        if backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] != "ENABLED":
            yield f"{table}: has no point-in-time recovery"
        if dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]["TimeToLiveStatus"] != "ENABLED":
            yield f"{table}: its items do not expire"


@check
def keys_are_rotated(target: Target) -> Iterator[str]:
    """Each KMS key gets new material every year."""
    for key in target.of_type("AWS::KMS::Key"):
        if not target.client("kms").get_key_rotation_status(KeyId=key.physical_id)["KeyRotationEnabled"]:
            yield f"{key}: is not rotated"


@check
def nothing_comes_in_from_the_internet(target: Target) -> Iterator[str]:
    """No security group of the network lets anybody in by an address, and private subnets have no way in."""
    ec2 = target.client("ec2")
    (network,) = target.of_type("AWS::EC2::VPC")
    of_network = [{"Name": "vpc-id", "Values": [network.physical_id]}]
    for group in pages(ec2, "describe_security_groups", "SecurityGroups", Filters=of_network):
        for rule in group["IpPermissions"]:
            if rule.get("IpRanges") or rule.get("Ipv6Ranges"):
                yield f"{group['GroupId']} ({group['GroupName']}): lets in {rule}"
    private = set(target.outputs["PrivateSubnetIds"].split(","))
    for table in pages(ec2, "describe_route_tables", "RouteTables", Filters=of_network):
        open_way = [route for route in table["Routes"] if (route.get("GatewayId") or "").startswith("igw-")]
        if open_way and private & {one.get("SubnetId") for one in table["Associations"]}:
            yield f"{table['RouteTableId']}: a private subnet has a way in from the internet"


@check
def store_is_private_encrypted_and_speaks_tls_only(target: Target) -> Iterator[str]:
    """The database has no public address, is encrypted with the data key, forces TLS, has backups and IAM logins."""
    databases = target.of_type("AWS::RDS::DBInstance")
    if not databases:
        raise SkippedError("The stacks have no database: on this machine it is a process that make up starts.")
    rds = target.client("rds")
    for database in databases:
        (found,) = rds.describe_db_instances(DBInstanceIdentifier=database.physical_id)["DBInstances"]
        if found["PubliclyAccessible"]:
            yield f"{database}: has a public address"
        if not found["StorageEncrypted"] or found.get("KmsKeyId") != target.outputs["DataKeyArn"]:
            yield f"{database}: is not encrypted with the data key"
        if found["BackupRetentionPeriod"] < 1:
            yield f"{database}: has no backups"
        if not found["IAMDatabaseAuthenticationEnabled"]:
            yield f"{database}: takes no IAM logins"
        parameters = {
            one["ParameterName"]: one.get("ParameterValue")
            for group in found["DBParameterGroups"]
            for one in pages(
                rds,
                "describe_db_parameters",
                "Parameters",
                DBParameterGroupName=group["DBParameterGroupName"],
                Source="user",
            )
        }
        if parameters.get("rds.force_ssl") != "1":
            yield f"{database}: does not force TLS"


@check
def warehouse_is_private_and_encrypted(target: Target) -> Iterator[str]:
    """The warehouse has no public address, routes through the VPC, and is encrypted with the data key."""
    if not target.of_type("AWS::RedshiftServerless::Workgroup"):
        raise SkippedError("The stacks have no warehouse: on this machine it is a process that make up starts.")
    if target.is_emulator:
        raise SkippedError("The emulator has no Redshift to ask; tests/infra looks at the template.")
    redshift = target.client("redshift-serverless")
    for one in target.of_type("AWS::RedshiftServerless::Workgroup"):
        found = redshift.get_workgroup(workgroupName=one.physical_id)["workgroup"]
        if found["publiclyAccessible"] or not found["enhancedVpcRouting"]:
            yield f"{one}: is public, or does not route through the VPC"
        if {each["parameterKey"]: each["parameterValue"] for each in found["configParameters"]}.get("require_ssl") != (
            "true"
        ):
            yield f"{one}: does not force TLS"
    for one in target.of_type("AWS::RedshiftServerless::Namespace"):
        found = redshift.get_namespace(namespaceName=one.physical_id)["namespace"]
        if found["kmsKeyId"] != target.outputs["DataKeyArn"]:
            yield f"{one}: is not encrypted with the data key"


@check
def alarms_exist_and_somebody_is_told(target: Target) -> Iterator[str]:
    """Each alarm of the stacks is there, looks at something, and tells a topic that exists and has a subscriber."""
    alarms = target.of_type("AWS::CloudWatch::Alarm")
    described = {
        one["AlarmName"]: one
        for one in pages(
            target.client("cloudwatch"), "describe_alarms", "MetricAlarms", AlarmNamePrefix=f"{target.project}-"
        )
    }
    if not alarms:
        yield "The stacks have no alarm"
    for alarm in alarms:
        found = described.get(alarm.physical_id)
        if found is None:
            yield f"{alarm}: is not there"
        elif not found.get("AlarmActions"):
            yield f"{alarm}: tells nobody"
        elif unknown := [arn for arn in found["AlarmActions"] if not _topic_exists(target, arn)]:
            yield f"{alarm}: tells {unknown}, which is no topic of this account"


def _topic_exists(target: Target, arn: str) -> bool:
    try:
        target.client("sns").get_topic_attributes(TopicArn=arn)
    except ClientError:
        return False
    return True


@check
def everything_says_whose_it_is(target: Target) -> Iterator[str]:
    """Each resource that the tagging API knows, and each stack, has creator, project and environment."""
    expected = {"project": target.project, "environment": target.environment}
    wanted = [{"Key": key, "Values": [value]} for key, value in expected.items()]
    tagged = list(
        pages(target.client("resourcegroupstaggingapi"), "get_resources", "ResourceTagMappingList", TagFilters=wanted)
    )
    with_creator = [
        one["ResourceARN"] for one in tagged if any(tag["Key"] == "creator" and tag["Value"] for tag in one["Tags"])
    ]
    for stack in target.stacks:
        tags = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])}
        if not tags.get("creator") or not expected.items() <= tags.items():
            yield f"{stack['StackName']}: the stack's tags are {tags}"
    for resource in target.resources:
        service = TAGGED.get(resource.type)
        if service == "secretsmanager" and target.is_emulator:
            continue  # its tagging API tells of no secret
        if service and not any(names(arn, service, resource.physical_id) for arn in with_creator):
            yield f"{resource}: lacks creator, project or environment"


# Types that the tagging API tells of, on AWS and here, with the service that their ARNs name.
TAGGED = {
    "AWS::DynamoDB::Table": "dynamodb",
    "AWS::KMS::Key": "kms",
    "AWS::Lambda::Function": "lambda",
    "AWS::S3::Bucket": "s3",
    "AWS::SQS::Queue": "sqs",
    "AWS::SecretsManager::Secret": "secretsmanager",
}


def names(arn: str, service: str, physical_id: str) -> bool:
    """Tell whether an ARN is that of a resource which its stack knows by this id, a queue by its URL."""
    last = physical_id.rpartition("/")[2] if physical_id.startswith("http") else physical_id
    if service == "secretsmanager":
        arn = arn[:-7]  # Secrets Manager ends it with a hyphen and six characters of its own
    return arn.split(":")[2] == service and (arn == last or arn.endswith((f":{last}", f"/{last}")))
