use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array, Int8Array, RecordBatch,
    StringArray, UInt64Array,
};
use parquet::arrow::ArrowWriter;

use super::*;

struct Directory(tempfile::TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, name: &str, content: &[u8]) -> Self {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn files(&self) -> Files {
        Files { submit_dir: self.0.path().to_owned() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The rows of a table, as JSON and as text, or what is wrong with it.
    fn rows(&self, name: &str) -> Result<Vec<Vec<String>>, String> {
        let told = |error: InputError| {
            let place = format!("{}/", self.0.path().display());
            crate::exit::chain(&error).replace(&place, "")
        };
        let mut table = self.files().open(&self.path(name)).map_err(told)?;
        let mut rows = vec![table.names().to_vec()];
        while let Some(row) = table.next_row() {
            let row = row.map_err(told)?;
            rows.push(row.iter().map(|value| format!("{} {}", value.json(), value.as_text())).collect());
        }
        Ok(rows)
    }

    fn parquet(&self, name: &str, columns: Vec<(&str, ArrayRef)>) {
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, column)| (name, column, true)),
        );
        let batch = batch.unwrap();
        let mut writer =
            ArrowWriter::try_new(File::create(self.path(name)).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}

#[test]
fn cells_of_text_are_typed() {
    let text = "\u{feff}x,name,note\r\n0.10,007,\r\n\r\n-3,\"a \"\"b\"\", c\nd\",\"\"\r\n";
    let directory = Directory::new().with("a.csv", text.as_bytes()).with("a.tsv", b"x\ty\n1\t2,3");
    assert_eq!(
        directory.rows("a.csv").unwrap(),
        [
            ["x", "name", "note"],
            ["0.1 0.10", "\"007\" 007", "null "],
            ["-3 -3", "\"a \\\"b\\\", c\\nd\" a \"b\", c\nd", "null "]
        ]
    );
    assert_eq!(directory.rows("a.tsv").unwrap(), [["x", "y"], ["1 1", "\"2,3\" 2,3"]]);
}

#[test]
fn rows_longer_than_the_buffers() {
    let names: Vec<String> = (0..100).map(|number| format!("p{number}")).collect();
    let row: Vec<String> = (0..100).map(|number| format!("v{number}{}", "y".repeat(200))).collect();
    let text = format!("{}\n{}\n", names.join(","), row.join(","));
    let directory = Directory::new().with("a.csv", text.as_bytes());
    let rows = directory.rows("a.csv").unwrap();
    assert_eq!((rows.len(), rows[1].len()), (2, 100));
    assert!(rows[1][99].ends_with(&row[99]));
}

#[test]
fn bad_text_is_told_with_its_line() {
    for (content, message) in [
        (&b""[..], "a.csv:1: there are no columns; the first line names the parameters"),
        (
            b",x\n0,1\n",
            "a.csv:1: column 1 has no name; give it one, or leave it out (pandas writes an index so; `index=False` does \
             not)",
        ),
        (
            b"learning rate\n1\n",
            "a.csv:1: a column: `learning rate` cannot be the name of a parameter; a letter comes first, then letters, \
             digits and `_`",
        ),
        (b"x,X\n1,2\n", "a.csv:1: the column `X` comes a second time; give it once"),
        (
            b"x,y\n1,2\n3\n",
            "a.csv:3: 1 value, and there are 2 columns; give a value for each, if need be an empty one",
        ),
        (b"x\ncaf\xe9\n", "a.csv:2: is not UTF-8; convert it, for instance with `iconv -t UTF-8`"),
        (b"x\na\0b\n", "a.csv:2: the value contains a NUL byte; remove it"),
    ] {
        assert_eq!(Directory::new().with("a.csv", content).rows("a.csv").unwrap_err(), message);
    }
    let open = format!("x\n\"{}", "a".repeat(3 << 20));
    let told = Directory::new().with("a.csv", open.as_bytes()).rows("a.csv").unwrap_err();
    assert_eq!(told, "a.csv:2: the row is longer than 1 MiB; is a quote not closed?");
    let other = Directory::new().with("a.txt", b"x\n").rows("a.txt").unwrap_err();
    assert_eq!(other, "a.txt: a table of points is named .csv, .tsv or .parquet");
    let missing = Directory::new().rows("a.csv").unwrap_err();
    assert_eq!(missing, "a.csv: cannot be read: No such file or directory (os error 2)");
}

#[test]
fn columns_have_the_types_of_the_record() {
    let directory = Directory::new();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("tiny", Arc::new(Int8Array::from(vec![Some(-3), None]))),
        ("large", Arc::new(UInt64Array::from(vec![7, u64::MAX]))),
        ("narrow", Arc::new(Float32Array::from(vec![0.1, 2.0]))),
        ("wide", Arc::new(Float64Array::from(vec![0.1, f64::NAN]))),
        ("on", Arc::new(BooleanArray::from(vec![true, false]))),
        ("name", Arc::new(StringArray::from(vec!["a b", ""]))),
        ("day", Arc::new(Date32Array::from(vec![0, 1]))),
    ];
    directory.parquet("a.parquet", columns);
    let rows = directory.rows("a.parquet").unwrap();
    assert_eq!(
        rows[1..],
        [
            ["-3 -3", "7 7", "0.1 0.1", "0.1 0.1", "true true", "\"a b\" a b", "\"1970-01-01\" 1970-01-01"],
            [
                "null ",
                "\"18446744073709551615\" 18446744073709551615",
                "2.0 2.0",
                "null ",
                "false false",
                "\"\" ",
                "\"1970-01-02\" 1970-01-02"
            ]
        ]
    );
}

#[test]
fn rows_of_many_batches_come_in_order() {
    let directory = Directory::new();
    let numbers: Vec<f64> = (0..5000).map(f64::from).collect();
    directory.parquet("a.parquet", vec![("x", Arc::new(Float64Array::from(numbers)))]);
    let rows = directory.rows("a.parquet").unwrap();
    assert_eq!((rows.len(), rows[5000][0].as_str()), (5001, "4999.0 4999.0"));
}

#[test]
fn bad_columns_are_refused() {
    let directory = Directory::new().with("no.parquet", b"PAR1");
    directory
        .parquet("infinite.parquet", vec![("x", Arc::new(Float64Array::from(vec![1.0, f64::INFINITY])))]);
    directory.parquet("binary.parquet", vec![("x", Arc::new(BinaryArray::from(vec![&b"a"[..]])))]);
    assert!(directory.rows("no.parquet").unwrap_err().starts_with("no.parquet: no Parquet file ("));
    assert_eq!(
        directory.rows("infinite.parquet").unwrap_err(),
        "infinite.parquet: row 2, column `x`: the value is infinite; give a number"
    );
    assert_eq!(
        directory.rows("binary.parquet").unwrap_err(),
        "binary.parquet: the column `x` (Binary) holds neither numbers nor texts nor truth values; leave it out"
    );
}

#[test]
fn patterns_find_what_a_shell_would() {
    let directory = Directory::new()
        .with("c/b.fa", b"")
        .with("c/a [1].fa", b"")
        .with("c/.hidden.fa", b"")
        .with("c/d/e.fa", b"")
        .with("c/x.txt", b"");
    let found = |pattern: &str| directory.files().matching(pattern);
    assert_eq!(found("c/*.fa").unwrap(), ["c/a [1].fa", "c/b.fa"]);
    assert_eq!(found("**/e.fa").unwrap(), ["c/d/e.fa"]);
    assert_eq!(found("no/*.fa").unwrap(), [""; 0]);
    let absolute = directory.path("c/b*");
    let absolute = absolute.to_str().unwrap();
    assert_eq!(found(absolute).unwrap(), [absolute.replace('*', ".fa")]);
    assert!(found("c/***").unwrap_err().starts_with("`c/***` is no pattern: "));
}

#[test]
fn a_directory_with_signs_of_patterns_in_its_name() {
    let parent = Directory::new().with("[a]*/c.fa", b"");
    let files = Files { submit_dir: parent.path("[a]*") };
    assert_eq!(files.matching("*.fa").unwrap(), ["c.fa"]);
}
