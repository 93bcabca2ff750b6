"""The operators that move a loaded object out of landing/: what a task adds to the provider's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import NO_ACL
from airflow.providers.amazon.aws.operators.s3 import S3CopyObjectOperator, S3DeleteObjectsOperator
from airflow.sdk.exceptions import AirflowSkipException
from botocore.exceptions import ClientError

from marketplace.ingest.objects import GONE

# CopyObject takes no more in one request (S3 user guide, "Copying objects").
COPY_LIMIT_BYTES = 5 * 1024**3
# What Airflow's metadata keeps of a mapped task's name (task_instance.rendered_map_index).
NAME_LENGTH = 250


class ArchiveObjectOperator(S3CopyObjectOperator):
    """Copies the object version that a load has read to where it is kept, in parts when it is above 5 GB.

    `loaded` is the result of marketplace.ingest.load.load_file. Skips when there is nothing to move (a reload, a file
    that is gone). Run again after the object was moved, it finds the copy and is content.
    """

    template_fields: Sequence[str] = ("loaded",)

    def __init__(self, *, bucket: str, loaded: Any, **kwargs: Any) -> None:
        # The bucket takes no ACLs, and the hook would send one, for which the role would need another right.
        super().__init__(
            source_bucket_key="", dest_bucket_key="", acl_policy=NO_ACL, map_index_template="{{ file }}", **kwargs
        )
        self.source_bucket_name = self.dest_bucket_name = bucket
        self.loaded = loaded

    def execute(self, context: Any) -> None:
        """Copy the object; raises what S3 raises."""
        context["file"] = self.loaded["source_key"][:NAME_LENGTH]
        if self.loaded["destination_key"] is None:
            raise AirflowSkipException("Nothing is left in landing/ to be moved.")
        self.source_bucket_key = self.loaded["source_key"]
        self.source_version_id = self.loaded["version_id"]
        self.dest_bucket_key = self.loaded["destination_key"]
        try:
            if self.loaded["size_bytes"] > COPY_LIMIT_BYTES:
                self._copy_in_parts()
            else:
                super().execute(context)
        except ClientError as error:
            if error.response["Error"]["Code"] not in GONE or not self._is_copied():
                raise
            self.log.info("%s was moved before.", self.source_bucket_key)

    def _copy_in_parts(self) -> None:
        source = {
            "Bucket": self.source_bucket_name,
            "Key": self.source_bucket_key,
            "VersionId": self.source_version_id,
        }
        self.hook.conn.copy(source, self.dest_bucket_name, self.dest_bucket_key)

    def _is_copied(self) -> bool:
        return bool(self.hook.check_for_key(self.dest_bucket_key, self.dest_bucket_name))


class DeleteObjectVersionOperator(S3DeleteObjectsOperator):
    """Deletes exactly the object version that a load has read.

    A newer version that was put under the same key meanwhile stays, and is a file of its own: deleting by key alone
    would hide it.
    """

    template_fields: Sequence[str] = ("loaded",)

    def __init__(self, *, bucket: str, loaded: Any, **kwargs: Any) -> None:
        super().__init__(bucket=bucket, keys=[], map_index_template="{{ file }}", **kwargs)
        self.loaded = loaded

    def execute(self, context: Any) -> None:
        """Delete the version; deleting it twice is no error. Raises RuntimeError when S3 refuses."""
        context["file"] = self.loaded["source_key"][:NAME_LENGTH]
        version = {"Key": self.loaded["source_key"], "VersionId": self.loaded["version_id"]}
        response = self.hook.conn.delete_objects(Bucket=self.bucket, Delete={"Objects": [version]})
        if errors := response.get("Errors"):
            raise RuntimeError(f"S3 did not delete {version} from {self.bucket}: {errors}")
