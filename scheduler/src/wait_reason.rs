//! Why a task waits. Every wait has a reason of its own: the deadlock report, the profiler and traces read it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The table of reasons: `Name = "words for a report", kind of detail;`. Expand it with a macro of your own to add a
/// reader.
#[macro_export]
macro_rules! for_each_wait_reason {
    ($table:ident) => {
        $table! {
            /// Not waiting: queued or running.
            Nothing = "nothing", "-";
            /// The result of a future. Detail: the awaited task's id, 0 when it is not one task.
            Future = "a future", "task";
            /// The end of a spawned task. Detail: its id.
            Join = "the end of a task", "task";
            /// A point in time. Detail: milliseconds asked for.
            Sleep = "a timer", "ms";
            /// A message from a channel. Detail: the channel's id.
            ChannelRecv = "a message from a channel", "channel";
            /// Room in a channel. Detail: the channel's id.
            ChannelSend = "room in a channel", "channel";
            /// A message from a broadcast channel. Detail: the channel's id.
            BroadcastRecv = "a message from a broadcast channel", "channel";
            /// One of several things. Detail: how many.
            Select = "one of several events", "arms";
            /// An actor with an empty mailbox. Detail: the actor's id.
            Mailbox = "a message to this actor", "actor";
            /// Room in an actor's mailbox. Detail: the actor's id.
            MailboxRoom = "room in an actor's mailbox", "actor";
            /// The answer to an ask. Detail: the actor's id.
            Ask = "an actor's answer", "actor";
            /// A batching handler that gathers more messages. Detail: the actor's id.
            Batch = "more messages for a batch", "actor";
            /// All tasks of a scope. Detail: how many are left.
            Scope = "the tasks of a scope", "tasks";
            /// The lock of a shared zone. Detail: the zone's id.
            Zone = "the lock of a shared zone", "zone";
            /// File work or a program on the blocking pool.
            Blocking = "file or process work", "-";
            /// The network.
            Network = "the network", "-";
            /// A kernel or transfer on a device. Detail: the device's index.
            Device = "a device", "device";
        }
    };
}

macro_rules! define_wait_reasons {
    ($( $(#[doc = $doc:literal])* $Name:ident = $words:literal, $detail:literal; )*) => {
        /// Why a task waits. As wide as it is read: a byte that was just written is slow to read as part of a word.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum WaitReason { $( $(#[doc = $doc])* $Name ),* }

        impl WaitReason {
            pub const ALL: &[WaitReason] = &[$(WaitReason::$Name),*];

            /// Words that go after "waits for".
            pub fn words(self) -> &'static str {
                match self { $(WaitReason::$Name => $words),* }
            }

            pub fn name(self) -> &'static str {
                match self { $(WaitReason::$Name => stringify!($Name)),* }
            }

            /// What the number beside the reason counts or names; `-` when it means nothing.
            pub fn detail(self) -> &'static str {
                match self { $(WaitReason::$Name => $detail),* }
            }
        }
    };
}
for_each_wait_reason!(define_wait_reasons);

/// The reason and its detail, readable by any thread. Relaxed: a report may be a moment old.
///
/// One word: the reason in the lowest byte, the detail above it. Of a detail the lower 56 bits are kept; ids and
/// milliseconds stay below that.
#[derive(Debug, Default)]
pub(crate) struct WaitCell(AtomicU64);

impl WaitCell {
    #[inline]
    pub(crate) fn set(&self, reason: WaitReason, detail: u64) {
        self.0.store(detail << 8 | reason as u64, Relaxed);
    }

    #[inline]
    pub(crate) fn clear(&self) {
        self.0.store(WaitReason::Nothing as u64, Relaxed);
    }

    pub(crate) fn get(&self) -> (WaitReason, u64) {
        let word = self.0.load(Relaxed);
        (WaitReason::ALL[usize::from(word as u8)], word >> 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_reads_back() {
        let cell = WaitCell::default();
        assert_eq!(cell.get(), (WaitReason::Nothing, 0));
        for &reason in WaitReason::ALL {
            cell.set(reason, 7);
            assert_eq!(cell.get(), (reason, 7));
        }
    }
}
