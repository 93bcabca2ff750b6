"""SET, RESET and SHOW of what Redshift's sessions know and PostgreSQL's do not.

Source: Amazon Redshift Management Guide, "Configuration reference".
"""

from __future__ import annotations

from local.redshift.edits import Edits
from local.redshift.statements import RefusedError, Statement

# What Redshift's sessions know and PostgreSQL's do not; a name with a dot may be set to anything.
_SETTINGS = frozenset(
    {
        "analyze_threshold_percent", "auto_mv", "cast_super_null_on_error", "datashare_break_glass_session_var",
        "default_geometry_encoding", "describe_field_name_in_uppercase", "downcase_delimited_identifier",
        "enable_case_sensitive_identifier", "enable_case_sensitive_super_attribute", "enable_numeric_rounding",
        "enable_result_cache_for_session", "enable_vacuum_boost", "error_on_nondeterministic_update",
        "json_parse_dedup_attributes", "json_parse_truncate_strings", "max_concurrency_scaling_clusters",
        "max_cursor_result_set_size", "mv_enable_aqmv_for_session", "navigate_super_null_on_error",
        "parse_super_null_on_error", "pg_federation_repeatable_read", "query_group",
        "spectrum_enable_pseudo_columns", "spectrum_query_maxerror", "stored_proc_log_min_messages", "use_fips_ssl",
        "wlm_query_slot_count",
    }
)  # fmt: skip

# Those that would change what a statement gives, which here they do not: only what they are anyway may be set.
_FIXED_SETTINGS = {
    "cast_super_null_on_error": True, "describe_field_name_in_uppercase": False, "downcase_delimited_identifier": True,
    "enable_case_sensitive_identifier": False, "enable_case_sensitive_super_attribute": False,
    "enable_numeric_rounding": True, "error_on_nondeterministic_update": False, "json_parse_dedup_attributes": False,
    "json_parse_truncate_strings": False, "navigate_super_null_on_error": True, "parse_super_null_on_error": False,
}  # fmt: skip


def setting(statement: Statement) -> Edits:
    """Return the edits of a SET, RESET or SHOW. Raises RefusedError for what cannot be set here."""
    at = 2 if statement.word(1) in ("SESSION", "LOCAL") else 1
    name = statement.word(at).lower()
    if statement.word(0) == "SET" and name in _FIXED_SETTINGS and at + 2 < len(statement.tokens):
        value = statement.tokens[at + 2].text.lower()
        if value not in ("default", *(("true", "on", "1") if _FIXED_SETTINGS[name] else ("false", "off", "0"))):
            is_on = "on" if _FIXED_SETTINGS[name] else "off"
            raise RefusedError(f"{name} is not supported by the local Redshift endpoint: it is {is_on}")
    if name in _SETTINGS:
        token = statement.tokens[at]
        return [(token.start, token.end + 1, f"redshift.{token.text.lower()}")]
    return []
