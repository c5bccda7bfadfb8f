//! What `wait4` says of every process of a tree, added up.

use ictasks_core::attempt::Usage;

use crate::sys::Reaped;

/// Sums of rusage; memory is the largest.
#[derive(Default)]
pub struct Sums {
    user_us: i64,
    system_us: i64,
    max_rss_kib: i64,
    minor_faults: i64,
    major_faults: i64,
    voluntary_switches: i64,
    involuntary_switches: i64,
    blocks_read: i64,
    blocks_written: i64,
}

impl Sums {
    /// Adds one process.
    pub fn add(&mut self, reaped: &Reaped) {
        let usage = &reaped.usage;
        let microseconds = |time: libc::timeval| time.tv_sec * 1_000_000 + time.tv_usec;
        self.user_us += microseconds(usage.ru_utime);
        self.system_us += microseconds(usage.ru_stime);
        self.max_rss_kib = self.max_rss_kib.max(usage.ru_maxrss);
        self.minor_faults += usage.ru_minflt;
        self.major_faults += usage.ru_majflt;
        self.voluntary_switches += usage.ru_nvcsw;
        self.involuntary_switches += usage.ru_nivcsw;
        self.blocks_read += usage.ru_inblock;
        self.blocks_written += usage.ru_oublock;
    }

    /// As figures of the record.
    #[allow(clippy::cast_precision_loss)]
    pub fn into_usage(self) -> Usage {
        // getrusage(2): ru_maxrss is in KiB; block counts are of 512 bytes.
        Usage {
            user_s: Some(self.user_us as f64 / 1e6),
            system_s: Some(self.system_us as f64 / 1e6),
            max_process_rss_bytes: Some(self.max_rss_kib * 1024),
            minor_fault_count: Some(self.minor_faults),
            major_fault_count: Some(self.major_faults),
            voluntary_switch_count: Some(self.voluntary_switches),
            involuntary_switch_count: Some(self.involuntary_switches),
            storage_read_bytes: Some(self.blocks_read * 512),
            storage_write_bytes: Some(self.blocks_written * 512),
            ..Usage::default()
        }
    }
}
