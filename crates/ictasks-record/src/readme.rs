//! The README's tables of columns are made from the schema.

use std::fmt::Write;
use std::path::Path;

use ictasks_core::column::{Column, ColumnType};

use crate::schema::Table;

fn type_name(column: &Column) -> String {
    let name = match column.kind {
        ColumnType::Int32 => "int32",
        ColumnType::Int64 => "int64",
        ColumnType::Float64 => "float64",
        ColumnType::Text => "utf8",
        ColumnType::Category => "dictionary<int32, utf8>",
        ColumnType::Timestamp => "timestamp(us, UTC)",
        ColumnType::Int32List => "list<int32>",
    };
    format!("{name}{}", if column.nullable { "?" } else { "" })
}

fn lines(table: Table) -> String {
    let mut text = String::from("| column | type | meaning |\n|---|---|---|\n");
    for column in table.columns() {
        let (name, kind, meaning) = match column.name {
            "params_json" => ("param_*", "as given?", "one for each parameter of the tasks"),
            "results_json" => {
                ("result_*", "as given?", "one for each scalar of the result.json that the attempt wrote")
            }
            name => (name, &*type_name(column), column.meaning.trim()),
        };
        writeln!(text, "| `{name}` | {kind} | {meaning} |").unwrap();
    }
    text
}

fn with_tables(readme: &str) -> String {
    let mut text = readme.to_owned();
    for table in Table::ALL {
        let begin = format!("<!-- columns of {}: generated -->\n", table.name());
        let end = format!("<!-- end of {} -->", table.name());
        let from = text.find(&begin).expect("the README has the marker") + begin.len();
        let to = text.find(&end).expect("the README has the marker");
        text.replace_range(from..to, &lines(table));
    }
    text
}

#[test]
fn the_readme_shows_the_columns_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let expected = with_tables(&readme);
    if std::env::var_os("ICTASKS_BLESS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    } else {
        assert!(
            readme == expected,
            "the README's tables differ from the schema; write them anew with \
             `ICTASKS_BLESS=1 cargo test --release -p ictasks-record readme`"
        );
    }
}
