//! A running task as natives and instructions see it.

use crate::program::Program;
use std::sync::Arc;

pub use wait::WaitReason;

mod wait {
    /// Why a task waits.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum WaitReason {
        Nothing,
        Future,
        Join,
        Sleep,
        ChannelRecv,
        ChannelSend,
        BroadcastRecv,
        Select,
        Mailbox,
        MailboxRoom,
        Ask,
        Batch,
        Scope,
        Zone,
        Blocking,
        Network,
        Device,
    }
}

/// What a task carries besides its stack.
pub struct TaskCx {
    program: Arc<Program>,
}

impl TaskCx {
    pub fn new(program: Arc<Program>) -> TaskCx {
        TaskCx { program }
    }

    /// The program this task is part of: options, arguments, output.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }
}
