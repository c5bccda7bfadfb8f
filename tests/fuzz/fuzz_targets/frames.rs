//! A connection that says any bytes, in any pieces: the lines are those of the bytes, none is longer than
//! agreed, and no message of the handshake or of an agent panics.

#![no_main]

use ictasks_core::frames::Frames;
use ictasks_core::handshake::{FromAgent, FromCoordinator, Invited};
use ictasks_core::protocol::{Reply, Request, Setup};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u16, &[u8])| {
    let (piece, longest, bytes) = input;
    let (piece, longest) = (usize::from(piece) + 1, usize::from(longest));
    let mut frames = Frames::new(longest);
    let mut whole = bytes.split(|byte| *byte == b'\n');
    'reading: for piece in bytes.chunks(piece) {
        frames.push(piece);
        loop {
            match frames.next_line() {
                Ok(Some(line)) => {
                    assert!(line.len() <= longest);
                    assert_eq!(Some(line), whole.next());
                    parse(line);
                }
                Ok(None) => break,
                Err(_) => break 'reading,
            }
        }
    }
});

fn parse(line: &[u8]) {
    let _ = serde_json::from_slice::<FromAgent>(line);
    let _ = serde_json::from_slice::<FromCoordinator>(line);
    let _ = serde_json::from_slice::<Invited>(line);
    let _ = serde_json::from_slice::<Reply>(line);
    let _ = serde_json::from_slice::<Request>(line);
    let _ = serde_json::from_slice::<Setup>(line);
}
