//! The two queues between an agent and its slots.
//!
//! All slots receive from one socket, so whichever is free takes the next task without the agent
//! being asked, and all reply on one other socket. Both keep the boundaries of packets. An order
//! that is too large for a packet travels as a descriptor of memory that holds it.

use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use ictasks_core::protocol::{RUN_PREFIX, Reply, TaskOrder};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags, SocketType,
    recvmsg, send, socketpair,
};

use crate::sys;

/// Larger orders are passed as a descriptor.
const PACKET_BYTES: usize = 64 * 1024;
/// A reply is smaller: two tails of 2 KiB and 16 KiB of results, each character escaped.
const REPLY_BYTES: usize = 160 * 1024;
/// Between two tries to send a reply for which the kernel had no memory.
const SEND_AGAIN: Duration = Duration::from_millis(50);
/// The packet that stands for an order passed as a descriptor.
const IN_MEMORY: &[u8] = b"@";

/// An order as a slot receives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// What it says.
    pub order: TaskOrder,
    /// Its JSON text, for the slot log.
    pub json: Vec<u8>,
}

impl Received {
    /// Of the line of a [`ictasks_core::protocol::Request::Run`].
    pub fn of_line(line: &[u8]) -> io::Result<Self> {
        let line = line.trim_ascii();
        let json = line.strip_prefix(RUN_PREFIX.as_bytes()).and_then(|rest| rest.strip_suffix(b"}"));
        let Some(json) = json.and_then(|json| str::from_utf8(json).ok()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not an order"));
        };
        Ok(Self { order: serde_json::from_str(json)?, json: json.as_bytes().to_vec() })
    }
}

/// The agent's end of the queue of orders.
pub struct OrderSender(OwnedFd);
/// The slots' end of the queue of orders. The agent keeps one to take orders back.
pub struct OrderReceiver {
    socket: OwnedFd,
    buffer: Vec<u8>,
}
/// The slots' end of the queue of replies.
pub struct ReplySender(OwnedFd);
/// The agent's end of the queue of replies.
pub struct ReplyReceiver {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// The queue of orders.
pub fn orders() -> io::Result<(OrderSender, OrderReceiver)> {
    let (sender, socket) = packet_pair()?;
    Ok((OrderSender(sender), OrderReceiver { socket, buffer: vec![0; PACKET_BYTES] }))
}

/// The queue of replies.
pub fn replies() -> io::Result<(ReplySender, ReplyReceiver)> {
    let (sender, socket) = packet_pair()?;
    Ok((ReplySender(sender), ReplyReceiver { socket, buffer: vec![0; REPLY_BYTES] }))
}

impl OrderSender {
    /// Puts the line of a [`ictasks_core::protocol::Request::Run`] into the queue; `false` if the queue is full.
    pub fn try_send(&self, line: &[u8]) -> io::Result<bool> {
        let sent = if line.len() <= PACKET_BYTES {
            send(&self.0, line, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).map(drop).map_err(io::Error::from)
        } else {
            let memory = rustix::fs::memfd_create("ictasks-order", rustix::fs::MemfdFlags::CLOEXEC)?;
            let mut file = std::fs::File::from(memory);
            file.write_all(line)?;
            sys::send_descriptors(self.0.as_fd(), IN_MEMORY, &[file.as_fd()]).map(drop)
        };
        match sent {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for OrderSender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl OrderReceiver {
    /// Another end of the same queue.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()?, buffer: vec![0; PACKET_BYTES] })
    }

    /// Waits for an order; `None` when no more can come.
    pub fn receive(&mut self) -> io::Result<Option<Received>> {
        self.next(RecvFlags::CMSG_CLOEXEC)
    }

    /// Takes an order that is in the queue now.
    pub fn try_receive(&mut self) -> io::Result<Option<Received>> {
        match self.next(RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            other => other,
        }
    }

    fn next(&mut self, flags: RecvFlags) -> io::Result<Option<Received>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        // Stopped and continued by somebody, the call may come back without anything.
        let received = rustix::io::retry_on_intr(|| {
            recvmsg(&self.socket, &mut [io::IoSliceMut::new(&mut self.buffer)], &mut control, flags)
        })?;
        if received.bytes == 0 {
            return Ok(None);
        }
        let descriptor = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        let received = match descriptor {
            Some(memory) => Received::of_line(&whole(&memory)?),
            None => Received::of_line(&self.buffer[..received.bytes]),
        };
        received.map(Some)
    }
}

/// What a descriptor of memory holds, whatever its position.
fn whole(memory: &OwnedFd) -> io::Result<Vec<u8>> {
    let length = usize::try_from(rustix::fs::fstat(memory)?.st_size).unwrap_or(0);
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match rustix::io::pread(memory, &mut bytes[filled..], filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

impl ReplySender {
    /// Another end of the same queue.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Sends a reply, waiting for room in the queue.
    pub fn send(&self, reply: &Reply) -> io::Result<()> {
        self.send_json(&serde_json::to_vec(reply)?)
    }

    /// Sends a reply that is JSON already. Want of memory in the kernel passes; an outcome must not be
    /// lost by it.
    pub fn send_json(&self, json: &[u8]) -> io::Result<()> {
        loop {
            match send(&self.0, json, SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::NOBUFS | Errno::NOMEM) => std::thread::sleep(SEND_AGAIN),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// What [`ReplyReceiver::try_receive`] found.
pub enum Replied<'a> {
    /// A reply, as JSON text.
    Reply(&'a [u8]),
    /// Nothing now.
    Nothing,
    /// Every slot has ended.
    Ended,
}

impl ReplyReceiver {
    /// Takes a reply that is in the queue now.
    pub fn try_receive(&mut self) -> io::Result<Replied<'_>> {
        match rustix::net::recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
            Ok((0, _)) => Ok(Replied::Ended),
            Ok((length, _)) => Ok(Replied::Reply(&self.buffer[..length])),
            Err(rustix::io::Errno::AGAIN) => Ok(Replied::Nothing),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for ReplyReceiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use ictasks_core::protocol::Request;

    use super::*;
    use crate::specimen::order;

    #[test]
    fn orders_of_any_size_arrive_whole_and_in_order() {
        let (sender, mut receiver) = orders().unwrap();
        for length in [1, 1000, PACKET_BYTES, 131_071, 400_000] {
            let sent = order(&"\"".repeat(length));
            let line = serde_json::to_vec(&Request::Run(sent.clone())).unwrap();
            assert!(sender.try_send(&line).unwrap());
            let received = receiver.receive().unwrap().unwrap();
            assert_eq!(serde_json::from_slice::<TaskOrder>(&received.json).unwrap(), sent);
            assert_eq!(received.order, sent);
        }
        drop(sender);
        assert_eq!(receiver.receive().unwrap(), None);
    }

    #[test]
    fn a_full_queue_says_so_and_loses_nothing() {
        let (sender, mut receiver) = orders().unwrap();
        let line = serde_json::to_vec(&Request::Run(order("true"))).unwrap();
        let mut sent = 0;
        while sender.try_send(&line).unwrap() {
            sent += 1;
        }
        assert!(sent > 10);
        let mut received = 0;
        while receiver.try_receive().unwrap().is_some() {
            received += 1;
        }
        assert_eq!(received, sent);
    }
}
