"""The schema's statements for a cluster: replicated tables on every shard, and Distributed ones in front of them.

A table ``t`` becomes ``t_local`` on each server, and ``t`` a Distributed table by webhook, so that all that belongs to
a webhook lies on one shard and every statement of the program is the same in both cases. Views that insert work beside
the data. What is not about a webhook is one table that every server has a replica of.
"""

import re

_WHOLE = ("schema_migrations", "looks")
"""Tables that are the same on all shards."""

_CREATE_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)\n")
_ENGINE = re.compile(r"\nENGINE = (\w*MergeTree)(?:\(([^)]*)\))?")
_CREATE_INSERTING_VIEW = re.compile(r"CREATE MATERIALIZED VIEW IF NOT EXISTS (\w+) TO (\w+) AS\n")
_CREATE_VIEW = re.compile(r"(CREATE (?:OR REPLACE )?VIEW (?:IF NOT EXISTS )?\w+) AS\n")
_ALTER_TABLE = re.compile(r"ALTER TABLE (\w+)\n")
_OF_ROWS = re.compile(r"(?:,\n)?\s+(?:MODIFY ORDER BY \([^)]*\)|ADD INDEX [^,]*)")
_ALTER_INSERTING_VIEW = re.compile(r"ALTER TABLE (\w+) MODIFY QUERY\n")
_SOURCE = re.compile(r"\nFROM (\w+)")


def local(table: str) -> str:
    """The name of what Distributed table ``table`` stands for on each server."""
    return f"{table}_local"


def clustered(statement: str, cluster: str) -> tuple[str, ...]:
    """What to run on one server of a cluster instead of a statement of a migration for a single server."""
    on_cluster = f"ON CLUSTER {quoted(cluster)}"
    if found := _CREATE_TABLE.match(statement):
        return _tables(statement.strip(), found, on_cluster, cluster)
    if found := _CREATE_INSERTING_VIEW.match(statement):
        name, target = found.groups()
        body = _local_sources(statement[found.end() :])
        return (f"CREATE MATERIALIZED VIEW IF NOT EXISTS {name} {on_cluster} TO {local(target)} AS\n{body}",)
    if found := _ALTER_TABLE.match(statement):
        own = statement[found.end() :]
        front = _OF_ROWS.sub("", own)  # what keeps no rows has no order of them
        changes = {local(found[1]): own, found[1]: front}
        return tuple(f"ALTER TABLE {name} {on_cluster}\n{change}" for name, change in changes.items() if change)
    if found := _ALTER_INSERTING_VIEW.match(statement):
        body = _local_sources(statement[found.end() :])
        return (f"ALTER TABLE {found[1]} {on_cluster} MODIFY QUERY\n{body}",)
    return (_CREATE_VIEW.sub(rf"\1 {on_cluster} AS\n", statement),)


def quoted(name: str) -> str:
    """A name as a string literal."""
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _local_sources(query: str) -> str:
    return _SOURCE.sub(lambda source: f"\nFROM {local(source[1])}", query)


def _tables(statement: str, found: re.Match[str], on_cluster: str, cluster: str) -> tuple[str, ...]:
    table = found[1]
    whole = table in _WHOLE
    own = table if whole else local(table)
    # The macros are the servers' own; those of one shard, or of all, are replicas of each other.
    path = f"'/clickhouse/tables/{'all' if whole else '{shard}'}/{{database}}/{own}', '{{replica}}'"
    if whole:
        path = path.replace("{replica}", "{shard}-{replica}")
    body = _ENGINE.sub(
        lambda engine: f"\nENGINE = Replicated{engine[1]}({', '.join(filter(None, (path, engine[2])))})",
        statement[found.end() :],
    )
    create = f"CREATE TABLE IF NOT EXISTS {own} {on_cluster}\n{body}"
    if whole:
        return (create,)
    front = (
        f"CREATE TABLE IF NOT EXISTS {table} {on_cluster} AS {own}\n"
        f"ENGINE = Distributed({quoted(cluster)}, currentDatabase(), {quoted(own)}, cityHash64(webhook_id))"
    )
    return create, front
