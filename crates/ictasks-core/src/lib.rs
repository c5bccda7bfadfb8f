//! The vocabulary of `ictasks`: what is typed ([`config`]), what it means ([`plan`], [`task`],
//! [`sweep`]), what agents are told and tell ([`protocol`]), what happened ([`event`], [`attempt`],
//! [`sample`]), how agents of other nodes join ([`handshake`], [`frames`], [`lease`]), what agents leave behind ([`slot_log`]), what a resumed run knows ([`history`]) and
//! how all that is written down ([`mod@column`]).
//!
//! Every other crate depends on this one; where two of them meet, they meet in a type of this crate.

pub mod attempt;
pub mod column;
pub mod command;
pub mod config;
pub mod error;
pub mod event;
pub mod frames;
pub mod handshake;
pub mod history;
pub mod layout;
pub mod lease;
pub mod machine;
pub mod plan;
pub mod protocol;
pub mod provenance;
pub mod sample;
pub mod slot_log;
pub mod slurm;
pub mod sweep;
pub mod task;
pub mod task_id;
pub mod task_list;
