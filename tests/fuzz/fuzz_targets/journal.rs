//! A live part of the journal, and a slot log, of any bytes: nothing panics, and a reader gives no more rows
//! than the bytes can hold.

#![no_main]

use ictasks_core::slot_log;
use ictasks_record::{Table, read_live_part};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for table in [Table::Events, Table::Samples] {
        // A row has a checksum of 8 bytes.
        assert!(read_live_part(bytes, table) <= bytes.len() / 8);
    }
    let mut attempts = 0;
    slot_log::read_from(bytes, &mut |_| attempts += 1).expect("memory can be read");
    assert!(attempts <= bytes.len());
});
