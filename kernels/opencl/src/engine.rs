//! One opened device: its kernels, its memory, its counts.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ocl::core::{Event, Kernel as ClKernel, Mem};
use stark_kernels::accelerator::{Accelerator, Kernel, KernelTime, Memory, Statistics};
use stark_kernels::{DType, Tensor, TensorError};

use crate::cache::Cache;
use crate::driver::{Arg, BoundKernel, DeviceInfo, Driver};
use crate::pool::{Pool, Taken};
use crate::{Error, Result};

/// The environment variable that limits device memory, in MiB; three quarters of the device's memory otherwise.
const LIMIT: &str = "STARK_OPENCL_MEMORY_MB";
/// The environment variable that picks the family of kernels, `tile` or `local`, whatever the device is.
const FAMILY: &str = "STARK_OPENCL_KERNELS";
/// The device begins with queued work at the latest after this many kernels.
const FLUSH_EVERY: u64 = 16;
/// The most groups along the second and third axis of a launch (the limit of CUDA devices).
const MAX_GROUPS: usize = 65_535;
/// Of each kernel the first few launches are timed and then every so many: to ask for times costs more than to launch. A prime:
/// the layers of a model are in step with nothing.
const TIMED_FIRST: u64 = 4;
const TIMED_EVERY: u64 = 17;
/// Times that are still to be asked for; more are left out.
const MAX_EVENTS: usize = 512;
/// Times that are asked for at once at most: many would be heard as a pause.
const TIMES_AT_ONCE: usize = 4;
/// The largest group of the kernels for devices beside the processor.
pub(crate) const GROUP_ITEMS: usize = 256;
/// Single numbers that are read of a block before all of it is.
const MAX_PEEKS: u32 = 16;

/// How kernels divide their work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Long work for each item, products by register tiles over packed panels: devices that are processors.
    Tile,
    /// Groups of items that share local memory: devices beside the processor.
    Local,
}

pub struct OpenCl {
    name: String,
    info: DeviceInfo,
    pub(crate) family: Family,
    driver: Driver,
    pool: Pool,
    cache: Cache,
    /// The lock also keeps the arguments of one launch together.
    kernels: Mutex<Kernels>,
    counts: Counts,
    on_host: Mutex<HashMap<&'static str, u64>>,
}

#[derive(Default)]
struct Kernels {
    made: Vec<Made>,
    /// Places in `made` by program.
    by_program: HashMap<String, Vec<usize>>,
    /// Of timed launches, the oldest first.
    events: VecDeque<Timed>,
}

struct Made {
    kernel: BoundKernel,
    name: String,
    /// What people know it by.
    label: String,
    n: u64,
    /// Launches up to the last timed one.
    n_timed: u64,
    /// What these took: each time stands for the launches since the one before.
    timed_ns: u64,
    last_ns: u64,
}

struct Timed {
    event: Event,
    /// The place of its kernel.
    at: usize,
    stands_for: u64,
}

impl Kernels {
    /// Takes up to `most` times of what is done: one queue, so that all before what still runs is.
    fn read_times(&mut self, most: usize) {
        for _ in 0..most {
            let Some(timed) = self.events.front() else { return };
            let made = &mut self.made[timed.at];
            match Driver::span(&timed.event) {
                Some((start, end)) => {
                    made.last_ns = end - start;
                    made.timed_ns += made.last_ns * timed.stands_for;
                }
                None if !Driver::is_reached(&timed.event) => return,
                // It failed, or the device tells no times.
                None => made.timed_ns += made.last_ns * timed.stands_for,
            }
            self.events.pop_front();
        }
    }

    fn times(&self) -> Vec<KernelTime> {
        let mut times: Vec<KernelTime> = Vec::new();
        for made in self.made.iter().filter(|made| made.n > 0) {
            let ns = made.timed_ns + made.last_ns * (made.n - made.n_timed);
            match times.iter_mut().find(|time| time.name == made.label) {
                Some(time) => (time.n, time.ns) = (time.n + made.n, time.ns + ns),
                None => times.push(KernelTime { name: made.label.clone(), n: made.n, ns }),
            }
        }
        times.sort_by_key(|time| std::cmp::Reverse(time.ns));
        times
    }
}

#[derive(Default)]
struct Counts {
    kernels: AtomicU64,
    uploads: AtomicU64,
    uploaded: AtomicU64,
    downloads: AtomicU64,
    downloaded: AtomicU64,
    full: AtomicU64,
}

/// A block of the device's memory.
pub struct Block {
    device: Arc<dyn Accelerator>,
    engine: Arc<OpenCl>,
    taken: Option<Taken>,
    /// The bytes asked for.
    bytes: usize,
    /// Behind the kernels that write it, once somebody has asked for it. Kernels write a block before its tensor is handed
    /// out, and never after.
    mark: OnceLock<Event>,
    /// Single numbers that were read of it.
    n_peeks: AtomicU32,
    /// Constants are packed for products once, by how the product sees them.
    packed: Option<Mutex<HashMap<PackKey, Arc<Block>>>>,
}

/// Offset, two steps and two sizes of a factor, the matrices of its stack, and 1 for a left one.
pub type PackKey = [usize; 7];

impl Block {
    pub fn mem(&self) -> &Mem {
        match &self.taken {
            Some(taken) => &taken.mem,
            None => unreachable!("a block has its memory until it is dropped"),
        }
    }

    pub fn arg(&self) -> Arg<'_> {
        Arg::Mem(self.mem())
    }

    /// What `make` gives for a constant is kept.
    pub fn packed(&self, key: PackKey, make: impl FnOnce() -> Result<Arc<Block>>) -> Result<Arc<Block>> {
        let Some(packed) = &self.packed else { return make() };
        let mut packed = lock(packed);
        if let Some(block) = packed.get(&key) {
            return Ok(block.clone());
        }
        let block = make()?;
        packed.insert(key, block.clone());
        Ok(block)
    }
}

impl Block {
    fn read_from(&self, at: usize, into: &mut [u8]) -> Result<(), String> {
        let engine = &self.engine;
        engine.counts.downloads.fetch_add(1, Relaxed);
        engine.counts.downloaded.fetch_add(into.len() as u64, Relaxed);
        let read = match self.mark.get() {
            Some(mark) => engine.driver.read_behind(mark, self.mem(), at, into),
            None => engine.driver.read(self.mem(), at, into),
        };
        read.map_err(|e| e.to_string())
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            self.engine.pool.give_back(taken);
        }
    }
}

impl Memory for Block {
    fn accelerator(&self) -> &Arc<dyn Accelerator> {
        &self.device
    }

    fn read(&self, into: &mut [u8]) -> Result<(), String> {
        let n = into.len().min(self.bytes);
        self.read_from(0, &mut into[..n])
    }

    fn peek(&self, at: usize, into: &mut [u8]) -> Option<Result<(), String>> {
        let inside = at.checked_add(into.len()).is_some_and(|end| end <= self.bytes);
        (inside && self.n_peeks.fetch_add(1, Relaxed) < MAX_PEEKS).then(|| self.read_from(at, into))
    }

    fn when_done(&self, then: Box<dyn FnOnce() + Send>) -> bool {
        let mark = match self.mark.get() {
            Some(mark) => mark,
            None => match self.engine.driver.mark() {
                Ok(mark) => self.mark.get_or_init(|| mark),
                // A queue that is broken says so when it is read.
                Err(_) => return false,
            },
        };
        !Driver::is_reached(mark) && self.engine.driver.when_reached(mark, then)
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number that kernels count with. Larger tensors stay with the processor.
pub fn int(n: usize) -> Option<i32> {
    i32::try_from(n).ok()
}

impl OpenCl {
    pub(crate) fn new(index: usize, info: DeviceInfo, family: Option<Family>) -> Result<OpenCl> {
        let limit = match std::env::var(LIMIT) {
            Ok(text) => match text.parse::<u64>().ok().and_then(|mb| mb.checked_mul(1 << 20)) {
                Some(limit) if limit > 0 => limit,
                _ => return Err(Error::Setting(format!("{LIMIT} is {text:?}, not a number of MiB"))),
            },
            Err(_) => info.global_bytes / 4 * 3,
        };
        let set = std::env::var(FAMILY).ok();
        let family = match (family, set.as_deref()) {
            (Some(family), _) => family,
            (None, Some("tile")) => Family::Tile,
            (None, Some("local")) => Family::Local,
            (None, Some(other)) => {
                return Err(Error::Setting(format!("{FAMILY} is {other:?}, neither \"tile\" nor \"local\"")));
            }
            (None, None) if info.is_cpu || info.group_items < GROUP_ITEMS => Family::Tile,
            (None, None) => Family::Local,
        };
        Ok(OpenCl {
            name: if index == 0 { "opencl".into() } else { format!("opencl:{index}") },
            family,
            driver: Driver::open(&info)?,
            info,
            pool: Pool::new(limit),
            cache: Cache::new(),
            kernels: Mutex::default(),
            counts: Counts::default(),
            on_host: Mutex::default(),
        })
    }

    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// Waits for all that was queued.
    pub fn finish(&self) -> Result<()> {
        self.driver.finish()
    }

    fn block(self: &Arc<Self>, taken: Taken, bytes: usize, constant: bool) -> Arc<Block> {
        let device: Arc<dyn Accelerator> = self.clone();
        let packed = constant.then(Mutex::default);
        let (mark, n_peeks) = (OnceLock::new(), AtomicU32::new(0));
        Arc::new(Block { device, engine: self.clone(), taken: Some(taken), bytes, mark, n_peeks, packed })
    }

    /// Memory whose bytes the next kernel writes.
    pub(crate) fn fresh(self: &Arc<Self>, bytes: usize) -> Result<Arc<Block>> {
        Ok(self.block(self.pool.take(&self.driver, bytes)?, bytes, false))
    }

    /// Small numbers that go along with a kernel.
    pub(crate) fn numbers(self: &Arc<Self>, numbers: &[i32]) -> Result<Arc<Block>> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        self.counts.uploads.fetch_add(1, Relaxed);
        self.counts.uploaded.fetch_add(bytes.len() as u64, Relaxed);
        Ok(self.block(self.pool.filled(&self.driver, &bytes)?, bytes.len(), false))
    }

    /// The block behind a tensor, copied to the device when it is not there.
    pub(crate) fn of(self: &Arc<Self>, tensor: &Tensor) -> Result<Arc<Block>, TensorError> {
        let device: Arc<dyn Accelerator> = self.clone();
        let memory: Arc<dyn std::any::Any + Send + Sync> = tensor.memory_on(&device)?;
        memory.downcast::<Block>().map_err(|_| TensorError::Device("the memory is of another backend".into()))
    }

    /// Queues `kernel` of the program `key`, which `source` gives the text and options of when it is new.
    ///
    /// The callers, one for each kernel in `cl`, keep what [`Driver::queue`] says of them.
    pub(crate) fn launch(
        &self,
        key: &str,
        kernel: &str,
        source: impl FnOnce() -> (String, String),
        args: &[Arg<'_>],
        global: [usize; 3],
        local: Option<[usize; 3]>,
    ) -> Result<()> {
        if global.contains(&0) {
            return Ok(());
        }
        // Work groups of one item are loops to a processor; others choose for themselves.
        let local = local.or_else(|| self.info.is_cpu.then_some([1, 1, 1]));
        let mut kernels = lock(&self.kernels);
        let places = kernels.by_program.get(key).map(Vec::as_slice).unwrap_or_default();
        let at = match places.iter().find(|&&at| kernels.made[at].name == kernel) {
            Some(&at) => at,
            None => {
                let (text, options) = source();
                let label = if kernel == "run" { key.split(' ').next().unwrap_or(key) } else { kernel };
                let (label, name) = (label.to_string(), kernel.to_string());
                let kernel = BoundKernel::new(self.build(&text, &options, kernel)?);
                kernels.made.push(Made { kernel, name, label, n: 0, n_timed: 0, timed_ns: 0, last_ns: 0 });
                let at = kernels.made.len() - 1;
                kernels.by_program.entry(key.to_string()).or_default().push(at);
                at
            }
        };
        let made = &mut kernels.made[at];
        let is_timed = made.n < TIMED_FIRST || made.n.is_multiple_of(TIMED_EVERY);
        let event = self.driver.queue(&mut made.kernel, args, global, local, is_timed)?;
        made.n += 1;
        if let Some(event) = event {
            kernels.read_times(TIMES_AT_ONCE);
            let made = &mut kernels.made[at];
            let stands_for = made.n - made.n_timed;
            made.n_timed = made.n;
            if kernels.events.len() < MAX_EVENTS {
                kernels.events.push_back(Timed { event, at, stands_for });
            }
        }
        drop(kernels);
        let n = self.counts.kernels.fetch_add(1, Relaxed);
        if n % FLUSH_EVERY == FLUSH_EVERY - 1 {
            self.driver.flush()?;
        }
        Ok(())
    }

    /// Whether a launch can have so many items (or groups), of which the first may be any number.
    pub(crate) fn fits(&self, global: [usize; 3]) -> bool {
        self.info.is_cpu || global[1..].iter().all(|&n| n <= MAX_GROUPS)
    }

    fn build(&self, source: &str, options: &str, kernel: &str) -> Result<ClKernel> {
        let info = &self.info;
        let mut hasher = blake3::Hasher::new();
        for part in [source, options, &info.platform, &info.name, &info.driver, &info.version] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        let key = hasher.finalize();
        if let Some(binary) = self.cache.get(&key) {
            // A driver may refuse what an older one of the same name gave.
            let made = self.driver.build(source, options, Some(&binary)).and_then(|p| Driver::kernel(&p, kernel));
            if let Ok(made) = made {
                return Ok(made);
            }
        }
        let program = self.driver.build(source, options, None)?;
        let made = Driver::kernel(&program, kernel)?;
        if let Some(binary) = Driver::binary(&program) {
            self.cache.put(&key, &binary);
        }
        Ok(made)
    }

    fn run_kernel(self: &Arc<Self>, kernel: &Kernel<'_>) -> Result<Option<Tensor>, TensorError> {
        match *kernel {
            Kernel::Map { name, inputs, params, shape, dtype } => self.map(name, inputs, params, shape, dtype),
            Kernel::Fused { program, inputs, params, shape, dtype } => {
                self.fused(program, inputs, params, shape, dtype)
            }
            Kernel::Reduce { name, x, n, params, shape, dtype } => self.reduce(name, x, n, params, shape, dtype),
            Kernel::Rows { name, x, n, weight, bias, eps } => self.rows(name, x, n, weight, bias, eps),
            Kernel::Product { a, b, shape, finish } => self.product(a, b, shape, finish),
            Kernel::Conv { x, weight, windows, groups, shape, finish } => {
                self.conv(x, weight, windows, groups, shape, finish)
            }
            Kernel::Attend(ref attend) => self.attend(attend),
            Kernel::MaxPool { x, windows, shape } => self.max_pool(x, windows, shape),
            Kernel::MeanPool { x, windows, average, shape } => self.mean_pool(x, windows, average, shape),
            Kernel::AdaptivePool { x, is_max, shape } => self.adaptive_pool(x, is_max, shape),
            Kernel::Take { x, axis, places, shape } => self.take(x, axis, places, shape),
            Kernel::Cat { parts, axis, shape, dtype } => self.cat(parts, axis, shape, dtype),
        }
    }

    /// A tensor to fill, with its block; `None` when a kernel cannot count its elements.
    pub(crate) fn make(
        self: &Arc<Self>,
        shape: &[usize],
        dtype: DType,
    ) -> Result<Option<(Tensor, Arc<Block>)>, TensorError> {
        let n = stark_shapes::rules::numel(shape)?;
        let Some(bytes) = n.checked_mul(dtype.size()).filter(|_| int(n).is_some()) else { return Ok(None) };
        let block = self.fresh(bytes)?;
        Ok(Some((Tensor::from_memory(block.clone(), dtype, shape)?, block)))
    }

    /// `-D` settings for the types that sums are kept in.
    pub(crate) fn sums(&self) -> &'static str {
        if self.info.has_f64 { "double" } else { "float" }
    }
}

impl Accelerator for OpenCl {
    fn name(&self) -> &str {
        &self.name
    }

    fn upload(self: Arc<Self>, bytes: &[u8], constant: bool) -> Result<Arc<dyn Memory>, TensorError> {
        self.counts.uploads.fetch_add(1, Relaxed);
        self.counts.uploaded.fetch_add(bytes.len() as u64, Relaxed);
        let made =
            if constant { self.pool.copy_of(&self.driver, bytes) } else { self.pool.filled(&self.driver, bytes) };
        Ok(self.block(made?, bytes.len(), constant))
    }

    fn run(self: Arc<Self>, kernel: &Kernel<'_>) -> Result<Option<Tensor>, TensorError> {
        self.run_kernel(kernel)
    }

    fn note_host(&self, operation: &'static str) {
        *lock(&self.on_host).entry(operation).or_default() += 1;
    }

    fn note_full(&self) {
        self.counts.full.fetch_add(1, Relaxed);
    }

    fn statistics(&self) -> Statistics {
        let mut kernels = lock(&self.kernels);
        kernels.read_times(MAX_EVENTS);
        let times = kernels.times();
        drop(kernels);
        let memory = self.pool.counts();
        let mut on_host: Vec<_> = lock(&self.on_host).iter().map(|(name, n)| (*name, *n)).collect();
        on_host.sort_by_key(|(name, n)| (std::cmp::Reverse(*n), *name));
        let counts = &self.counts;
        Statistics {
            n_kernels: counts.kernels.load(Relaxed),
            n_uploads: counts.uploads.load(Relaxed),
            uploaded_bytes: counts.uploaded.load(Relaxed),
            n_downloads: counts.downloads.load(Relaxed),
            downloaded_bytes: counts.downloaded.load(Relaxed),
            used_bytes: memory.used,
            peak_bytes: memory.peak,
            kept_bytes: memory.kept,
            n_full: counts.full.load(Relaxed),
            busy_ns: times.iter().map(|time| time.ns).sum(),
            kernels: times,
            on_host,
        }
    }
}
