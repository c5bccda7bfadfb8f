"""pyarrow, pandas, polars and DuckDB read the four tables with the promised types."""

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest

from promise import TABLES, kind

PYARROW = {
    "category": pyarrow.dictionary(pyarrow.int32(), pyarrow.string()),
    "text": pyarrow.string(),
    "int32": pyarrow.int32(),
    "int64": pyarrow.int64(),
    "float64": pyarrow.float64(),
    "list": pyarrow.list_(pyarrow.int32()),
    "time": pyarrow.timestamp("us", tz="UTC"),
}
# A column of integers with nulls is Int64 in pandas' own nullable types, float64 without them.
PANDAS = {
    "category": "category",
    "text": "string",
    "int32": "Int32",
    "int64": "Int64",
    "float64": "Float64",
    "list": "object",
    "time": "datetime64[us, UTC]",
}
POLARS = {
    "category": polars.Categorical,
    "text": polars.String,
    "int32": polars.Int32,
    "int64": polars.Int64,
    "float64": polars.Float64,
    "list": polars.List(polars.Int32),
    "time": polars.Datetime("us", "UTC"),
}
DUCKDB = {
    "category": "VARCHAR",
    "text": "VARCHAR",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "list": "INTEGER[]",
    "time": "TIMESTAMP WITH TIME ZONE",
}


def check(table, found, names):
    """Compares found types (by column) with the promised ones."""
    expected = {column: str(names[kind(column)]) for column in found}
    assert {column: str(name) for column, name in found.items()} == expected, table


@pytest.mark.parametrize("table", TABLES)
def test_pyarrow(record, table):
    schema = pyarrow.parquet.read_schema(record / f"{table}.parquet")
    check(table, {field.name: field.type for field in schema}, PYARROW)


@pytest.mark.parametrize("table", TABLES)
def test_pandas(record, table):
    frame = pandas.read_parquet(record / f"{table}.parquet", dtype_backend="numpy_nullable")
    check(table, dict(frame.dtypes), PANDAS)


@pytest.mark.parametrize("table", TABLES)
def test_polars(record, table):
    frame = polars.read_parquet(record / f"{table}.parquet")
    check(table, dict(frame.schema), POLARS)


@pytest.mark.parametrize("table", TABLES)
def test_duckdb(record, table):
    rows = duckdb.sql(f"describe select * from '{record}/{table}.parquet'").fetchall()
    check(table, {row[0]: row[1] for row in rows}, DUCKDB)


def test_the_four_readers_agree(record):
    file = record / "tasks.parquet"
    columns = ["task_index", "outcome", "exit_code", "signal", "param_mesh", "result_drag"]
    expected = [
        (0, "succeeded", 0, None, "m0", 0.5),
        (1, "failed", 3, None, "m1", None),
        (2, "signaled", None, 15, "m2", None),
        (3, "spawn_failed", None, None, "m3", None),
        (4, "succeeded", 0, None, "m4", None),
    ]
    table = pyarrow.parquet.read_table(file, columns=columns).sort_by("task_index").to_pylist()
    assert [tuple(row[column] for column in columns) for row in table] == expected
    frame = pandas.read_parquet(file, columns=columns, dtype_backend="pyarrow")
    rows = frame[columns].sort_values("task_index").astype(object).itertuples(index=False, name=None)
    assert [tuple(None if pandas.isna(cell) else cell for cell in row) for row in rows] == expected
    assert polars.read_parquet(file).sort("task_index").select(columns).rows() == expected
    query = f"select {', '.join(columns)} from '{file}' order by task_index"
    assert duckdb.sql(query).fetchall() == expected


def test_names_need_no_quotes_in_sql(record):
    for table in TABLES:
        columns = pyarrow.parquet.read_schema(record / f"{table}.parquet").names
        # DuckDB takes a lone `at` for the keyword of that name.
        written = ["r.at" if column == "at" else column for column in columns]
        query = f"describe select {', '.join(written)} from '{record}/{table}.parquet' r"
        assert [row[0] for row in duckdb.sql(query).fetchall()] == columns


def test_durations_and_times_agree_in_sql(record):
    query = f"""
        select max(abs(epoch_us(finished_at) - epoch_us(started_at) - wall_s * 1e6))
        from '{record}/attempts.parquet'
    """
    assert duckdb.sql(query).fetchall()[0][0] <= 1


def test_every_table_names_its_format(record):
    for table in TABLES:
        metadata = pyarrow.parquet.read_metadata(record / f"{table}.parquet").metadata
        assert metadata[b"ictasks.format_version"] == b"1"
        assert metadata[b"ictasks.run_id"] and metadata[b"ictasks.version"]


def test_tables_are_compressed_with_zstd(record):
    for table in TABLES:
        metadata = pyarrow.parquet.read_metadata(record / f"{table}.parquet")
        group = metadata.row_group(0)
        assert {group.column(i).compression for i in range(group.num_columns)} == {"ZSTD"}
