import pytest

from dispatcher.recording.read_only import NotReadOnly, check_read_only

TABLE_FUNCTIONS = frozenset({"file", "url", "remote", "s3", "numbers", "view", "cluster", "values", "sqlite"})


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        "SELECT count() FROM messages WHERE error LIKE '%file%' -- it's fine",
        "with a as (select 1) select * from a;",
        "(select 1) union all select 2",
        "from messages select status",
        "select * from numbers(3)",
        "select /* a comment; with ' */ `status` from attempts",
        "show tables",
        "explain select 1",
        "describe table attempts",
        r"select 'a''b\'c; insert', \"x\" from t where a != 2 and b[1] = {x:String}".replace('\\"', '"'),
        "select domain(url), url from t",
        "select 'é', '“file(1)”'",
        "select aim, airport from t",
    ],
)
def test_reading_passes(sql: str) -> None:
    check_read_only(sql, TABLE_FUNCTIONS)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "-- nothing",
        "insert into t values (1)",
        "alter table t delete where 1",
        "create table t (a Int8) engine = Memory",
        "drop table t",
        "system flush logs",
        "set readonly = 0",
        "kill query where 1",
        "backup table t to File('/tmp/x')",
        "use system",
        "select 1; select 2",
        "select 1 into outfile '/tmp/x'",
        "select file('/etc/passwd')",
        "select `file`('/etc/passwd')",
        "select \"file\"/* */('/etc/passwd')",
        "select arrayMap(file, ['/etc/passwd'])",
        "select * apply file from (select '/etc/passwd')",
        r"select `fi\x6ce`('/etc/passwd')",
        "select * from URL('http://127.0.0.1')",
        "select * from url /* */ ('http://127.0.0.1')",
        "select * from \"remote\"('127.0.0.1', 'system.one')",
        "select * from s3('http://127.0.0.1/x')",
        "select * from sqlite('/tmp/x.db', 't')",
        "select * from python(x)",
        "select aiGenerate('x')",
        "select $$a$$",
        "select \u2018a\u2019",
        "# note\nselect 1",
        "/* /* */ select 1",
        "select 1 -- \r, file('/etc/passwd')",
        "select 'not closed",
        "select 1 /* not closed",
    ],
)
def test_everything_else_is_refused_with_a_reason(sql: str) -> None:
    with pytest.raises(NotReadOnly, match=r"\w+ \w+"):
        check_read_only(sql, TABLE_FUNCTIONS)
