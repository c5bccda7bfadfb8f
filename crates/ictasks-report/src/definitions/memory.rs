//! Memory to ask for.

const MIB: i64 = 1 << 20;
const GIB: i64 = 1 << 30;

/// 1.2 × a peak, rounded up to a size that people write: multiples of 64 MiB below 1 GiB, of 512 MiB below
/// 16 GiB, of 1 GiB above. Source: Princeton's `jobstats` advises 1.2 × the peak.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
pub(crate) fn advised_bytes(peak_bytes: i64) -> i64 {
    let wanted = (peak_bytes.max(1) as f64 * 1.2).ceil() as i64;
    let step = match wanted {
        wanted if wanted <= GIB => 64 * MIB,
        wanted if wanted <= 16 * GIB => 512 * MIB,
        _ => GIB,
    };
    wanted.div_euclid(step).saturating_add(i64::from(wanted % step != 0)).saturating_mul(step)
}

/// As the configuration takes it: `512M`, `2G`.
pub(crate) fn setting(bytes: i64) -> String {
    if bytes % GIB == 0 { format!("{}G", bytes / GIB) } else { format!("{}M", bytes / MIB) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_one_that_people_write() {
        let advised = [10 * MIB, 100 * MIB, 900 * MIB, 2 * GIB, 20 * GIB].map(advised_bytes).map(setting);
        assert_eq!(advised, ["64M", "128M", "1536M", "2560M", "24G"]);
    }
}
