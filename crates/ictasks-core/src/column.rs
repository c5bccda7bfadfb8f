//! The columns of the record, declared once.
//!
//! A row type is declared with `row!`: the struct, its JSON keys, its columns and their
//! descriptions come from that one declaration. The recorder builds Arrow arrays from
//! [`Row::COLUMNS`] and [`Row::cells`] and knows no field by itself.

use std::sync::atomic::{AtomicI64, Ordering};

use serde::{Deserialize, Serialize};

/// How a column is stored. See the record format for the reasons behind each choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// 32-bit signed integer: codes and small numbers.
    Int32,
    /// 64-bit signed integer: bytes and counts.
    Int64,
    /// 64-bit float: durations in seconds, fractions.
    Float64,
    /// UTF-8 text.
    Text,
    /// Dictionary-encoded UTF-8 text, for values that repeat.
    Category,
    /// Microseconds since the epoch, UTC.
    Timestamp,
    /// List of 32-bit integers.
    Int32List,
}

/// One column of a table of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name in every table, with its unit.
    pub name: &'static str,
    /// How it is stored.
    pub kind: ColumnType,
    /// Whether it may be null (not measured, or not applicable).
    pub nullable: bool,
    /// What it means, for the tables in the documentation.
    pub meaning: &'static str,
}

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Not measured, or not applicable.
    Null,
    /// See [`ColumnType::Int32`].
    Int32(i32),
    /// See [`ColumnType::Int64`].
    Int64(i64),
    /// See [`ColumnType::Float64`].
    Float64(f64),
    /// For [`ColumnType::Text`] and [`ColumnType::Category`].
    Text(&'a str),
    /// See [`ColumnType::Timestamp`].
    Timestamp(i64),
    /// See [`ColumnType::Int32List`].
    Int32List(&'a [i32]),
}

/// A type whose values are rows of a table.
pub trait Row {
    /// The columns, in the order of [`Row::cells`].
    const COLUMNS: &'static [Column];
    /// Hands out the values, one for each column, in order.
    fn cells<'a>(&'a self, take: &mut dyn FnMut(Cell<'a>));
}

/// A type that can stand in one cell.
pub trait AsCell {
    /// Whether the column needs to admit nulls.
    const NULLABLE: bool = false;
    /// The value as a cell.
    fn cell(&self) -> Cell<'_>;
}

/// Microseconds since the epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// What this host's clock is ahead of the coordinator's, microseconds.
static CLOCK_OFFSET: AtomicI64 = AtomicI64::new(0);

impl Timestamp {
    /// The coordinator's wall clock now.
    pub fn now() -> Self {
        Self(Self::of_own_clock().0 - CLOCK_OFFSET.load(Ordering::Relaxed))
    }

    /// From now on this process, and what it forks, counts time by the coordinator's clock, which is so many
    /// seconds behind its own: everything that an agent writes or says is in one time.
    pub fn follow_clock_behind_by(seconds: f64) {
        CLOCK_OFFSET.store(Self(0).plus_seconds(seconds).0, Ordering::Relaxed);
    }

    /// This host's own wall clock now.
    pub fn of_own_clock() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self(since.map_or(0, |elapsed| i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This instant `seconds` later, to the nearest microsecond.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn plus_seconds(self, seconds: f64) -> Self {
        Self(self.0 + (seconds * 1e6).round() as i64)
    }

    /// Seconds from `earlier` to this instant; negative if it is before.
    #[allow(clippy::cast_precision_loss)]
    pub fn seconds_since(self, earlier: Self) -> f64 {
        (self.0 - earlier.0) as f64 / 1e6
    }

    /// Seconds since the epoch.
    #[allow(clippy::cast_precision_loss)]
    pub fn epoch_seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

macro_rules! as_cell {
    ($type:ty, $self:ident => $cell:expr) => {
        impl AsCell for $type {
            fn cell(&self) -> Cell<'_> {
                let $self = self;
                $cell
            }
        }
    };
}
as_cell!(i32, value => Cell::Int32(*value));
as_cell!(i64, value => Cell::Int64(*value));
as_cell!(f64, value => Cell::Float64(*value));
as_cell!(String, value => Cell::Text(value));
as_cell!(Timestamp, value => Cell::Timestamp(value.0));
as_cell!(Vec<i32>, value => Cell::Int32List(value));

impl<T: AsCell> AsCell for Option<T> {
    const NULLABLE: bool = true;
    fn cell(&self) -> Cell<'_> {
        self.as_ref().map_or(Cell::Null, AsCell::cell)
    }
}

/// Declares a row type: `field: Type => ColumnType`, the doc comment being the column's meaning.
macro_rules! row {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[doc = $meaning:literal])+ $field:ident: $type:ty => $kind:ident,)+
    }) => {
        $(#[$meta])*
        pub struct $name {
            $($(#[doc = $meaning])+ pub $field: $type,)+
        }
        impl $crate::column::Row for $name {
            const COLUMNS: &'static [$crate::column::Column] = &[
                $($crate::column::Column {
                    name: stringify!($field),
                    kind: $crate::column::ColumnType::$kind,
                    nullable: <$type as $crate::column::AsCell>::NULLABLE,
                    meaning: concat!($($meaning),+),
                },)+
            ];
            fn cells<'a>(&'a self, take: &mut dyn FnMut($crate::column::Cell<'a>)) {
                $(take($crate::column::AsCell::cell(&self.$field));)+
            }
        }
    };
}
pub(crate) use row;

/// Declares an enum of fixed names that serialises, prints and stands in a cell as its name.
macro_rules! names {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $text)] $variant,)+
        }
        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The name in the record.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl $crate::column::AsCell for $name {
            fn cell(&self) -> $crate::column::Cell<'_> {
                $crate::column::Cell::Text(self.as_str())
            }
        }
    };
}
pub(crate) use names;
