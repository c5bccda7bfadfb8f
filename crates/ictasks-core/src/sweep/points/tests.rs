use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::super::random::Distribution;
use super::super::range::Number;
use super::*;

/// Files that are not there: `N.csv` has N rows of the column `row`.
#[derive(Default)]
struct Pretended {
    names: Vec<String>,
    opened: Arc<AtomicUsize>,
}

struct Rows {
    names: Vec<String>,
    rows: std::ops::Range<i64>,
}

impl SweepFiles for Pretended {
    fn matching(&self, pattern: &str) -> Result<Vec<String>, String> {
        let prefix = pattern.trim_end_matches('*');
        Ok(self.names.iter().filter(|name| name.starts_with(prefix)).cloned().collect())
    }

    fn open(&self, path: &Path) -> Result<Box<dyn PointTable>, InputError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let count = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).unwrap_or(0);
        Ok(Box::new(Rows { names: vec!["row".to_owned()], rows: 0..count }))
    }
}

impl PointTable for Rows {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn next_row(&mut self) -> Option<Result<Vec<ParamValue>, InputError>> {
        self.rows.next().map(|row| Ok(vec![ParamValue::integer(row)]))
    }
}

fn points_with(parts: Vec<SweepPart>, files: Pretended) -> Result<Points, (&'static str, PointsError)> {
    Points::of(&Sweep(parts), &(Arc::new(files) as Arc<dyn SweepFiles>), Path::new("/s"))
}

fn shown(parts: Vec<SweepPart>, files: Pretended) -> Vec<String> {
    let points = Arc::new(points_with(parts, files).expect("good parts"));
    let mut cursor = Cursor::new(Arc::clone(&points));
    let mut shown = Vec::new();
    while let Some(point) = cursor.next_point() {
        point.unwrap();
        shown.push(cursor.values().iter().map(ParamValue::as_text).collect::<Vec<_>>().join(" "));
    }
    assert_eq!(shown.len() as u64, points.count());
    shown
}

fn integers(name: &str, from: i64, to: i64) -> (String, Axis) {
    let range = Range::with_step(Number::Integer(from), Number::Integer(to), Number::Integer(1));
    (name.to_owned(), Axis::Range(range.unwrap()))
}

#[test]
fn the_last_varies_fastest() {
    let grid = SweepPart::Grid(vec![integers("a", 1, 2), integers("b", 1, 3)]);
    assert_eq!(shown(vec![grid.clone()], Pretended::default()), ["1 1", "1 2", "1 3", "2 1", "2 2", "2 3"]);
    let zip = SweepPart::Zip(vec![integers("c", 7, 8), integers("d", 8, 9)]);
    let both = shown(vec![zip, grid], Pretended::default());
    assert_eq!((both.len(), both[0].as_str(), both[6].as_str()), (12, "7 8 1 1", "8 9 1 1"));
}

#[test]
fn files_are_absolute_and_come_once() {
    let names = ["c/b.tar.gz", "c/a.fa"].map(str::to_owned).into();
    let files = Pretended { names, ..Pretended::default() };
    let found = shown(vec![SweepPart::Glob(vec!["c/a*".to_owned(), "c/*".to_owned()])], files);
    assert_eq!(found, ["/s/c/a.fa a", "/s/c/b.tar.gz b.tar"]);
    let none = points_with(vec![SweepPart::Glob(vec!["x/*".to_owned()])], Pretended::default());
    assert!(
        matches!(none, Err(("glob", PointsError::OfPart(message))) if message == "there is no file `x/*` in `/s`")
    );
}

#[test]
fn small_tables_are_kept_and_large_ones_are_read_again() {
    for (rows, opened) in [(3, 1), (100_000, 3)] {
        let files = Pretended::default();
        let count = Arc::clone(&files.opened);
        let parts = vec![SweepPart::Grid(vec![integers("a", 1, 2)]), SweepPart::File(format!("{rows}.csv"))];
        let points = shown(parts, files);
        assert_eq!((points.len(), points[rows].as_str()), (2 * rows, "2 0"));
        assert_eq!(count.load(Ordering::Relaxed), opened);
    }
}

#[test]
fn what_cannot_be_swept_is_refused() {
    let told = |parts| match points_with(parts, Pretended::default()) {
        Err((key, PointsError::OfPart(message))) => format!("{key}: {message}"),
        other => panic!("{:?}", other.map(|points| points.count)),
    };
    assert_eq!(
        told(vec![SweepPart::File("0.csv".to_owned())]),
        "file: `/s/0.csv` has no rows; give a point a row"
    );
    let twice = vec![SweepPart::Grid(vec![integers("Row", 1, 2)]), SweepPart::File("2.csv".to_owned())];
    assert_eq!(told(twice), "file: the parameter `row` comes twice in the sweep; give it once");
    let many = ["a", "b", "c"].map(|name| integers(name, 1, 100_000));
    assert_eq!(
        told(vec![SweepPart::Grid(many.into())]),
        "grid: the sweep has more points than a run can have tasks (4294967294); leave some out"
    );
}

proptest! {
    /// The odometer is what nested loops are.
    #[test]
    fn a_product_is_nested_loops(sizes in prop::collection::vec(1_i64..5, 1..5), zipped in 1_i64..4, drawn in 1_u64..4) {
        let axis = |(place, size): (usize, &i64)| integers(&format!("p{place}"), 1, *size);
        let random = Random {
            count: drawn,
            seed: 1,
            parameters: vec![("r".to_owned(), Distribution::Uniform(0.0, 1.0))],
        };
        let parts = vec![
            SweepPart::Zip(vec![integers("z", 1, zipped)]),
            SweepPart::Grid(sizes.iter().enumerate().map(axis).collect()),
            SweepPart::Random(random.clone()),
        ];
        let mut expected: Vec<String> = (1..=zipped).map(|number| number.to_string()).collect();
        for size in &sizes {
            expected = expected.iter().flat_map(|point| (1..=*size).map(move |n| format!("{point} {n}"))).collect();
        }
        let drawn: Vec<String> = shown(vec![SweepPart::Random(random)], Pretended::default());
        let expected: Vec<String> =
            expected.iter().flat_map(|point| drawn.iter().map(move |number| format!("{point} {number}"))).collect();
        prop_assert_eq!(shown(parts, Pretended::default()), expected);
    }
}
