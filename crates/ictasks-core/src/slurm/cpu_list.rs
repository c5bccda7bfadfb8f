//! Slurm's short form of a figure for each node: `4(x3),2` is 4, 4, 4, 2.

use crate::error::SlurmError;

/// More nodes than this are a mistake.
const MOST_NODES: usize = 1 << 16;

/// The figures, one for each node.
///
/// # Errors
/// Anything that is not of this form, or speaks of more than 65,536 nodes.
pub fn expand(list: &str) -> Result<Vec<i32>, SlurmError> {
    let refused = || SlurmError::CpuList { list: list.to_owned() };
    let mut figures = Vec::new();
    for item in list.trim().split(',') {
        let (figure, times) = match item.split_once("(x") {
            Some((figure, times)) => (figure, times.strip_suffix(')').ok_or_else(refused)?),
            None => (item, "1"),
        };
        let figure = number(figure).ok_or_else(refused)?;
        let times = number(times).and_then(|times| usize::try_from(times).ok()).ok_or_else(refused)?;
        if times == 0 || figures.len() + times > MOST_NODES {
            return Err(refused());
        }
        figures.extend(std::iter::repeat_n(figure, times));
    }
    Ok(figures)
}

fn number(text: &str) -> Option<i32> {
    // A sign would be taken by `parse`.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_as_slurm_writes_them() {
        assert_eq!(expand("4(x3)"), Ok(vec![4, 4, 4]));
        assert_eq!(expand("2(x2),1"), Ok(vec![2, 2, 1]));
        assert_eq!(expand("4(x3),2"), Ok(vec![4, 4, 4, 2]));
        assert_eq!(expand("128"), Ok(vec![128]));
    }

    #[test]
    fn anything_else_is_refused() {
        for list in ["", "x", "4(x3", "4(3)", "4(x0)", "4,", "-1", "+4", "4(x99999999)", "9999999999"] {
            let expected =
                format!("read Slurm's list of CPUs `{list}`: it is no list of figures such as `4(x3),2`");
            assert_eq!(expand(list).unwrap_err().to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn what_was_shortened_is_what_it_was(
            figures in prop::collection::vec((1_i32..300, 1_usize..20), 1..20)
        ) {
            let item = |&(figure, times): &(i32, usize)| match times {
                1 => figure.to_string(),
                times => format!("{figure}(x{times})"),
            };
            let list = figures.iter().map(item).collect::<Vec<_>>().join(",");
            let long = figures.iter().flat_map(|&(figure, times)| std::iter::repeat_n(figure, times));
            prop_assert_eq!(expand(&list).unwrap(), long.collect::<Vec<_>>());
        }

        #[test]
        fn no_text_is_too_strange(list in "[0-9(x),]{0,20}|\\PC{0,20}") {
            let _ = expand(&list);
        }
    }
}
