//! All use of `ocl`: devices, memory, programs and the queue, as little as the backend needs.
//!
//! Invariant: one in-order queue a device for kernels. What was queued earlier is done before what is queued later starts,
//! so a block may be given to the next kernel as soon as the last one that uses it is queued. What a mark has been reached
//! for is read over a queue of its own, beside the kernels that were queued after the mark.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::CString;
use std::sync::{Mutex, PoisonError, mpsc};

use ocl::core::{
    self, ArgVal, CommandExecutionStatus, CommandQueue, Context, DeviceId, DeviceInfo as Ask, DeviceType, Event,
    Kernel, Mem, MemFlags, ProfilingInfo, ProfilingInfoResult, Program, ProgramInfo, ProgramInfoResult,
};

use crate::{Error, Result};

/// Up to so many bytes are copied, so that nobody waits for them to be written.
const MAX_KEPT_WRITE: usize = 64 << 10;

/// So many of them are kept at most; then the oldest is waited for.
const MAX_KEPT_WRITES: usize = 256;

/// What `stark devices` tells, and what the backend decides by.
#[derive(Debug, Clone)]
pub struct DeviceInfo {
    pub platform: String,
    pub name: String,
    pub vendor: String,
    pub driver: String,
    pub version: String,
    pub is_cpu: bool,
    pub compute_units: u32,
    pub global_bytes: u64,
    /// The largest single block.
    pub block_bytes: u64,
    pub local_bytes: u64,
    /// The most items of a group.
    pub group_items: usize,
    /// Whether device and host share their memory.
    pub is_unified: bool,
    pub has_f64: bool,
    id: DeviceId,
}

fn say(what: &str, error: impl std::fmt::Display) -> Error {
    // `ocl` frames its messages in lines of signs, and ends them with an address.
    let text = error.to_string();
    let tells = |l: &str| {
        l.chars().any(char::is_alphanumeric)
            && !["####", "Please visit", "http"].iter().any(|frame| l.starts_with(frame))
    };
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| tells(l)).collect();
    Error::Device(format!("{what}: {}", lines.join(" ")))
}

/// Every device of every platform, processors last. At once and without `ocl` when OpenCL is absent.
pub fn devices() -> Result<Vec<DeviceInfo>> {
    stark_opencl_late::n_platforms().map_err(Error::Absent)?;
    let mut found = Vec::new();
    for platform in core::get_platform_ids().map_err(|e| say("platforms", e))? {
        let name = core::get_platform_info(platform, core::PlatformInfo::Name).map(|n| n.to_string());
        let name = name.unwrap_or_else(|_| "unnamed platform".into());
        // A platform whose devices are gone says so with an error.
        let Ok(ids) = core::get_device_ids(platform, Some(DeviceType::ALL), None) else { continue };
        found.extend(ids.into_iter().filter_map(|id| describe(&name, id)));
    }
    // `opencl` is the first: a device beside the processor where there is one. The order is the platforms' otherwise.
    found.sort_by_key(|info| info.is_cpu);
    if found.is_empty() { Err(Error::Absent(stark_opencl_late::Absent::NoPlatform)) } else { Ok(found) }
}

fn describe(platform: &str, id: DeviceId) -> Option<DeviceInfo> {
    let raw = |ask: Ask| core::get_device_info_raw(id, ask as u32).unwrap_or_default();
    let text = |ask| String::from_utf8_lossy(&raw(ask)).trim_matches(['\0', ' ']).to_string();
    let number = |ask| {
        let bytes = raw(ask);
        let mut word = [0; 8];
        word.get_mut(..bytes.len()).map(|place| place.copy_from_slice(&bytes));
        u64::from_le_bytes(word)
    };
    let usable = number(Ask::Available) != 0 && number(Ask::CompilerAvailable) != 0;
    usable.then(|| DeviceInfo {
        platform: platform.to_string(),
        name: text(Ask::Name),
        vendor: text(Ask::Vendor),
        driver: text(Ask::DriverVersion),
        version: text(Ask::Version),
        is_cpu: number(Ask::Type) & DeviceType::CPU.bits() != 0,
        compute_units: number(Ask::MaxComputeUnits) as u32,
        global_bytes: number(Ask::GlobalMemSize),
        block_bytes: number(Ask::MaxMemAllocSize),
        local_bytes: number(Ask::LocalMemSize),
        group_items: number(Ask::MaxWorkGroupSize) as usize,
        is_unified: number(Ask::HostUnifiedMemory) != 0,
        has_f64: text(Ask::Extensions).split(' ').any(|e| e == "cl_khr_fp64"),
        id,
    })
}

/// A device with its context and queue.
pub struct Driver {
    device: DeviceId,
    /// Its memory is the host's.
    pub is_unified: bool,
    context: Context,
    queue: CommandQueue,
    /// For reads that need not wait for kernels.
    transfers: CommandQueue,
    /// What is being written to the device, and its event.
    writes: Mutex<VecDeque<(Event, Box<[u8]>)>>,
    /// To the thread that waits for marks, once there is one.
    waiter: Mutex<Option<mpsc::Sender<(Event, Then)>>>,
}

/// What follows when a mark is reached.
pub type Then = Box<dyn FnOnce() + Send>;

impl Drop for Driver {
    fn drop(&mut self) {
        // Nothing may be read from `writes` any more.
        let _ = self.finish();
    }
}

/// A kernel and the numbers that its arguments have: what stays is not set again.
pub struct BoundKernel {
    kernel: Kernel,
    numbers: Vec<Option<(usize, [u8; 16])>>,
}

impl BoundKernel {
    pub fn new(kernel: Kernel) -> BoundKernel {
        BoundKernel { kernel, numbers: Vec::new() }
    }

    fn set(&mut self, index: usize, arg: &Arg<'_>) -> Result<()> {
        let mut number = [0; 16];
        let size = match arg {
            Arg::Mem(_) | Arg::Nothing => 0,
            Arg::Int(x) => put(&mut number, &x.to_ne_bytes()),
            Arg::Float(x) => put(&mut number, &x.to_ne_bytes()),
            Arg::Double(x) => put(&mut number, &x.to_ne_bytes()),
            Arg::Bytes(bytes) => put(&mut number, bytes),
        };
        if self.numbers.len() <= index {
            self.numbers.resize(index + 1, None);
        }
        if size > 0 && self.numbers[index] == Some((size, number)) {
            return Ok(());
        }
        let value = match arg {
            Arg::Mem(mem) => ArgVal::mem(mem),
            Arg::Nothing => ArgVal::mem_null(),
            // SAFETY: the bytes are alive until they are copied, below.
            _ => unsafe { ArgVal::from_raw(size, number.as_ptr().cast(), false) },
        };
        self.numbers[index] = None;
        core::set_kernel_arg(&self.kernel, index as u32, value).map_err(|e| say("argument", e))?;
        self.numbers[index] = (size > 0).then_some((size, number));
        Ok(())
    }
}

/// `bytes`, at most 16, at the start of `number`; how many.
fn put(number: &mut [u8; 16], bytes: &[u8]) -> usize {
    number[..bytes.len()].copy_from_slice(bytes);
    bytes.len()
}

/// One argument of a kernel.
pub enum Arg<'a> {
    Mem(&'a Mem),
    /// A null pointer.
    Nothing,
    Int(i32),
    /// At most 16.
    Bytes(&'a [u8]),
    Float(f32),
    Double(f64),
}

impl Arg<'_> {
    /// The same argument for another launch.
    pub fn again(&self) -> Arg<'_> {
        match *self {
            Arg::Mem(mem) => Arg::Mem(mem),
            Arg::Nothing => Arg::Nothing,
            Arg::Int(x) => Arg::Int(x),
            Arg::Bytes(bytes) => Arg::Bytes(bytes),
            Arg::Float(x) => Arg::Float(x),
            Arg::Double(x) => Arg::Double(x),
        }
    }
}

impl Driver {
    pub fn open(info: &DeviceInfo) -> Result<Driver> {
        let context = core::create_context(None, &[info.id], None, None).map_err(|e| say("context", e))?;
        let queue = |properties| core::create_command_queue(&context, info.id, properties).map_err(|e| say("queue", e));
        let (queue, transfers) = (queue(Some(core::QUEUE_PROFILING_ENABLE))?, queue(None)?);
        let (writes, waiter) = (Mutex::default(), Mutex::default());
        Ok(Driver { device: info.id, is_unified: info.is_unified, queue, transfers, writes, waiter, context })
    }

    /// Compiles, or loads what [`Driver::binary`] gave for the same device.
    pub fn build(&self, source: &str, options: &str, binary: Option<&[u8]>) -> Result<Program> {
        let options = CString::new(options).map_err(|e| say("options", e))?;
        let program = match binary {
            Some(binary) => core::create_program_with_binary(&self.context, &[self.device], &[binary]),
            None => {
                let source = CString::new(source).map_err(|e| say("source", e))?;
                core::create_program_with_source(&self.context, &[source])
            }
        };
        let program = program.map_err(|e| say("program", e))?;
        core::build_program(&program, Some(&[self.device]), &options, None, None).map_err(|e| say("build", e))?;
        Ok(program)
    }

    pub fn binary(program: &Program) -> Option<Vec<u8>> {
        match core::get_program_info(program, ProgramInfo::Binaries) {
            Ok(ProgramInfoResult::Binaries(mut binaries)) => binaries.pop().filter(|b| !b.is_empty()),
            _ => None,
        }
    }

    pub fn kernel(program: &Program, name: &str) -> Result<Kernel> {
        core::create_kernel(program, name).map_err(|e| say(name, e))
    }

    /// A block of its own, at least one byte.
    pub fn allocate(&self, bytes: usize) -> Result<Mem> {
        let flags = match self.is_unified {
            true => MemFlags::READ_WRITE | MemFlags::ALLOC_HOST_PTR,
            // A device beside the processor would be given memory of the host, behind a slow bus.
            false => MemFlags::READ_WRITE,
        };
        // SAFETY: no host memory is handed over.
        let made = unsafe { core::create_buffer::<_, u8>(&self.context, flags, bytes.max(1), None) };
        made.map_err(|e| say("memory", e))
    }

    /// A block that holds `bytes`. Nothing waits: no kernel knows the block yet.
    pub fn copy_of(&self, bytes: &[u8]) -> Result<Mem> {
        if bytes.is_empty() {
            return self.allocate(1);
        }
        let flags = MemFlags::READ_WRITE | MemFlags::COPY_HOST_PTR;
        // SAFETY: the bytes are copied before the call returns.
        let made = unsafe { core::create_buffer(&self.context, flags, bytes.len(), Some(bytes)) };
        made.map_err(|e| say("memory", e))
    }

    /// Writes `bytes` behind what was queued. What is large is waited for rather than copied once more.
    pub fn write(&self, mem: &Mem, bytes: &[u8]) -> Result<()> {
        let queue = |bytes: &[u8], wait: bool| {
            let mut done = Event::null();
            // SAFETY: the bytes are alive until the write is done: it waits, or they are kept, below.
            let queued =
                unsafe { core::enqueue_write_buffer(&self.queue, mem, wait, 0, bytes, None::<Event>, Some(&mut done)) };
            queued.map(|()| done).map_err(|e| say("write", e))
        };
        if bytes.len() > MAX_KEPT_WRITE {
            return queue(bytes, true).map(drop);
        }
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        while writes.front().is_some_and(|(done, _)| Self::is_reached(done)) {
            writes.pop_front();
        }
        if writes.len() >= MAX_KEPT_WRITES {
            // The newest is done after all others.
            let newest = writes.back().map(|(done, _)| core::wait_for_event(done));
            newest.transpose().map_err(|e| say("write", e))?;
            writes.clear();
        }
        let kept: Box<[u8]> = bytes.into();
        let done = queue(&kept, false)?;
        writes.push_back((done, kept));
        Ok(())
    }

    /// Reads from the byte `at` on. Waits for all that was queued.
    pub fn read(&self, mem: &Mem, at: usize, into: &mut [u8]) -> Result<()> {
        if into.is_empty() {
            return core::finish(&self.queue).map_err(|e| say("queue", e));
        }
        // SAFETY: the read is done when the call returns.
        let read =
            unsafe { core::enqueue_read_buffer(&self.queue, mem, true, at, into, None::<Event>, None::<&mut Event>) };
        read.map_err(|e| say("read", e))
    }

    /// What is reached when all that was queued before is done.
    pub fn mark(&self) -> Result<Event> {
        let mut mark = Event::null();
        core::enqueue_marker_with_wait_list(&self.queue, None::<Event>, Some(&mut mark), None)
            .map_err(|e| say("mark", e))?;
        core::flush(&self.queue).map_err(|e| say("queue", e))?;
        Ok(mark)
    }

    /// Also when what was queued before has failed: whoever reads then is told.
    pub fn is_reached(mark: &Event) -> bool {
        use CommandExecutionStatus::{Queued, Running, Submitted};
        !matches!(core::event_status(mark), Ok(Queued | Submitted | Running))
    }

    /// Has `then` called when `mark` is reached, or cannot be any more. `then` must be short. `false`: there is no thread to call it.
    ///
    /// A thread of our own waits: a driver's callback may come tens of milliseconds late. It waits for one mark after the other as
    /// they are asked for; one that was reached meanwhile is called with the next.
    pub fn when_reached(&self, mark: &Event, then: Then) -> bool {
        let mut waiter = self.waiter.lock().unwrap_or_else(PoisonError::into_inner);
        if waiter.is_none() {
            let (sender, receiver) = mpsc::channel::<(Event, Then)>();
            let wait = move || {
                while let Ok(first) = receiver.recv() {
                    // What has failed is told to whoever reads.
                    let _ = core::wait_for_event(&first.0);
                    let mut waits = vec![first];
                    waits.extend(receiver.try_iter());
                    // Those that are reached do not wait for the others.
                    waits.sort_by_cached_key(|(mark, _)| !Self::is_reached(mark));
                    for (mark, then) in waits {
                        let _ = core::wait_for_event(&mark);
                        // One that panics takes only its own wait with it.
                        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(then));
                    }
                }
            };
            *waiter = std::thread::Builder::new().name("stark-opencl".into()).spawn(wait).is_ok().then_some(sender);
        }
        waiter.as_ref().is_some_and(|waiter| waiter.send((mark.clone(), then)).is_ok())
    }

    /// Reads what was there when `mark` was reached.
    pub fn read_behind(&self, mark: &Event, mem: &Mem, at: usize, into: &mut [u8]) -> Result<()> {
        if into.is_empty() {
            return Ok(());
        }
        // SAFETY: the read is done when the call returns.
        let read =
            unsafe { core::enqueue_read_buffer(&self.transfers, mem, true, at, into, Some(mark), None::<&mut Event>) };
        read.map_err(|e| say("read", e))
    }

    /// Queues a kernel over `global` items in groups of `local`. Kernels are those of `cl` and `map` alone, and their
    /// callers in this crate pass the arguments that each declares and blocks as large as it goes through. An event is
    /// for [`Driver::span`].
    pub fn queue(
        &self,
        kernel: &mut BoundKernel,
        args: &[Arg<'_>],
        global: [usize; 3],
        local: Option<[usize; 3]>,
        is_timed: bool,
    ) -> Result<Option<Event>> {
        for (index, arg) in args.iter().enumerate() {
            kernel.set(index, arg)?;
        }
        let mut event = is_timed.then(Event::null);
        // SAFETY: as the function's description says, checked by the conformance suite.
        let queued = unsafe {
            core::enqueue_kernel(&self.queue, &kernel.kernel, 3, None, &global, local, None::<Event>, event.as_mut())
        };
        queued.map_err(|e| say("kernel", e))?;
        Ok(event)
    }

    /// Lets the device begin with what was queued.
    pub fn flush(&self) -> Result<()> {
        core::flush(&self.queue).map_err(|e| say("queue", e))
    }

    pub fn finish(&self) -> Result<()> {
        core::finish(&self.queue).map_err(|e| say("queue", e))
    }

    /// When a kernel started and ended, in nanoseconds; `None` while it runs.
    pub fn span(event: &Event) -> Option<(u64, u64)> {
        match (
            core::get_event_profiling_info(event, ProfilingInfo::Start),
            core::get_event_profiling_info(event, ProfilingInfo::End),
        ) {
            (Ok(ProfilingInfoResult::Start(start)), Ok(ProfilingInfoResult::End(end))) if end >= start => {
                Some((start, end))
            }
            _ => None,
        }
    }
}
