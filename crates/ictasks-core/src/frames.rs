//! Lines out of a stream of bytes from a stranger: never longer than agreed, however they come.

/// Collects what was read and hands out whole lines.
#[derive(Debug)]
pub struct Frames {
    buffer: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// So far no line ends after `start`.
    searched: usize,
    longest: usize,
}

/// A line is longer than agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message is longer than {longest} bytes")]
pub struct TooLong {
    /// What was agreed.
    pub longest: usize,
}

impl Frames {
    /// For lines of at most so many bytes, their ends not counted.
    pub const fn new(longest: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, searched: 0, longest }
    }

    /// From now on lines may be so long.
    pub fn allow(&mut self, longest: usize) {
        self.longest = longest;
    }

    /// Takes what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.space().extend_from_slice(bytes);
    }

    /// Where to append what is read next.
    pub fn space(&mut self) -> &mut Vec<u8> {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        &mut self.buffer
    }

    /// The next whole line, without its end.
    ///
    /// # Errors
    /// It is too long, or what there is of it.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, TooLong> {
        let from = self.searched;
        let Some(length) = self.buffer[from..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return match self.searched - self.start > self.longest {
                true => Err(TooLong { longest: self.longest }),
                false => Ok(None),
            };
        };
        let line = self.start..from + length;
        if line.len() > self.longest {
            return Err(TooLong { longest: self.longest });
        }
        self.start = line.end + 1;
        self.searched = self.start;
        Ok(Some(&self.buffer[line]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lines of `bytes`, read in pieces, and whether one was too long.
    fn lines(bytes: &[u8], piece: usize, longest: usize) -> (Vec<Vec<u8>>, bool) {
        let mut frames = Frames::new(longest);
        let mut lines = Vec::new();
        for piece in bytes.chunks(piece) {
            frames.push(piece);
            loop {
                match frames.next_line() {
                    Ok(Some(line)) => lines.push(line.to_vec()),
                    Ok(None) => break,
                    Err(_) => return (lines, true),
                }
            }
        }
        (lines, false)
    }

    #[test]
    fn a_line_may_be_as_long_as_agreed_and_no_longer() {
        assert_eq!(lines(b"four\n12345\n", 3, 4), (vec![b"four".to_vec()], true));
        assert_eq!(lines(b"12345", 1, 4), (Vec::new(), true), "its end need not be waited for");
        assert_eq!(lines(b"1234", 4, 4), (Vec::new(), false));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200),
            piece in 1_usize..20,
            longest in 0_usize..40,
        ) {
            prop_assert_eq!(lines(&bytes, piece, longest), lines(&bytes, bytes.len().max(1), longest));
            let whole: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
            let found = lines(&bytes, piece, usize::MAX).0;
            prop_assert_eq!(found, whole[..whole.len() - 1].to_vec());
        }
    }
}
