//! Shared zones as natives. Every way out of a guard's range ends it, so whoever took the lock gives it back.

use super::lock::{Access, Take, ZoneLock};
use super::tasks::{Me, me, pack};
use super::wait::{Entry, Fired, Waiter};
use crate::fault::{Fault, FaultKind};
use crate::heap::Parcel;
use crate::natives::{Answered, NativeCx, NativeResult, NativeRow, natives};
use crate::program::Program;
use crate::task::WaitReason;

pub(crate) type Zone = ZoneLock<Parcel, Me>;

pub(crate) const TABLE: &[NativeRow] = natives! {
    zone_init "<T>(Int, T) -> ()";
    zone_read "<T>(Int, Bool) -> T" [suspends];
    zone_read_end "<T>(Int, T) -> ()";
    zone_write "<T>(Int) -> T" [suspends];
    zone_write_end "<T>(Int, T) -> ()";
};

fn zone(cx: &NativeCx<'_>) -> Result<usize, Fault> {
    let index = cx.int(0);
    usize::try_from(index)
        .ok()
        .filter(|i| *i < cx.task.program().zones.len())
        .ok_or_else(|| Fault::internal(format!("there is no zone {index}")))
}

fn zone_init(cx: &mut NativeCx<'_>) -> NativeResult {
    let i = zone(cx)?;
    let value = pack(cx.take(1))?;
    cx.task.program().zones[i].put(value);
    cx.return_unit()
}

/// A value of more bytes is not copied for its readers. Copying so many takes about a microsecond.
const MAX_COPIED: usize = 4096;

/// A wait for the lock.
struct ZoneWait {
    zone: usize,
    entry: Entry<Me>,
    program: &'static Program,
    ended: bool,
}

impl ZoneWait {
    fn take(&mut self) -> Option<Parcel> {
        let (_, fired) = self.entry.task.point().take(self.entry.ticket)?;
        self.ended = true;
        match fired {
            Fired::Message(value) => Some(value),
            Fired::Sent | Fired::Closed | Fired::Ready => None,
        }
    }
}

impl Drop for ZoneWait {
    /// A task that was cancelled passes on what it was handed.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let zone = &self.program.zones[self.zone];
        match self.entry.task.point().close(self.entry.ticket) {
            Some((_, Fired::Message(value))) => zone.put(value),
            _ => zone.forget(&self.entry),
        }
    }
}

/// Waits for the lock. The value is the caller's then, until it is put back; `Err`: the answer of a native that waits.
fn acquire(cx: &mut NativeCx<'_>, access: Access) -> Result<Result<(usize, Parcel), Answered>, Fault> {
    let mut wait = match cx.resumed::<ZoneWait>() {
        Some(wait) => wait,
        None => {
            let (zone, me) = (zone(cx)?, me(cx)?);
            let program = cx.task.program();
            let entry = Entry { ticket: me.point().open(), task: me, arm: 0 };
            match program.zones[zone].take(&entry, access) {
                Take::Value(value) => return Ok(Ok((zone, value))),
                Take::Held => {
                    let message = "the zone is held by this task already: waiting for it would never end";
                    return Err(Fault::new(FaultKind::DeadlockError, message));
                }
                Take::Unset => return Err(Fault::value("the zone is used before it has a value")),
                Take::Waits => ZoneWait { zone, entry, program, ended: false },
            }
        }
    };
    match wait.take() {
        Some(value) => Ok(Ok((wait.zone, value))),
        None => cx.suspend(WaitReason::Zone, wait.zone as u64, wait).map(Err),
    }
}

/// Takes the lock and the value.
fn zone_write(cx: &mut NativeCx<'_>) -> NativeResult {
    let (zone, value) = match acquire(cx, Access::Write)? {
        Ok(taken) => taken,
        Err(waits) => return Ok(waits),
    };
    // Asked before the guard's range begins: behind this, a task without memory would leave the zone locked.
    if let Err(fault) = cx.reserve(value.bytes()) {
        cx.task.program().zones[zone].put(value);
        return Err(fault);
    }
    let value = value.unpack();
    cx.return_value(value)
}

fn zone_write_end(cx: &mut NativeCx<'_>) -> NativeResult {
    let i = zone(cx)?;
    let value = pack(cx.take(1))?;
    cx.task.program().zones[i].put(value);
    cx.return_unit()
}

/// The value to look at, until `zone_read_end`. A small one is copied, and other readers have it at the same time; writers wait.
/// For a larger one that would cost more than a look does: it is the reader's alone, as a writer's. But not when the reader may
/// take another zone meanwhile: then readers could wait for each other.
fn zone_read(cx: &mut NativeCx<'_>) -> NativeResult {
    let (zone, value) = match acquire(cx, Access::Read)? {
        Ok(taken) => taken,
        Err(waits) => return Ok(waits),
    };
    let is_copied = value.bytes() <= MAX_COPIED || cx.bool(1);
    // The value and its copy are here at once for a moment.
    if let Err(fault) = cx.reserve(value.bytes() * (1 + usize::from(is_copied))) {
        cx.task.program().zones[zone].put(value);
        return Err(fault);
    }
    let value = value.unpack();
    if !is_copied {
        return cx.return_value(value);
    }
    let copy = pack(value.clone());
    let value = pack(value)?;
    match copy {
        Ok(copy) => {
            cx.task.program().zones[zone].share(value, &me(cx)?);
            let copy = copy.unpack();
            cx.return_value(copy)
        }
        Err(fault) => {
            cx.task.program().zones[zone].put(value);
            Err(fault)
        }
    }
}

/// Ends a read, with what `zone_read` gave.
fn zone_read_end(cx: &mut NativeCx<'_>) -> NativeResult {
    let (i, me) = (zone(cx)?, me(cx)?);
    let zone = &cx.task.program().zones[i];
    if zone.is_held_by(&me) {
        zone.put(pack(cx.take(1))?);
    } else if !zone.read_end(&me) {
        return Err(Fault::internal("a zone's read ended that had not begun"));
    }
    cx.return_unit()
}
