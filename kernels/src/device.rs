//! Where kernels run: the vectorised CPU code, or plain loops to hold it against.

use std::cell::Cell;

/// What computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// Vector code for the features that the processor has, on the lent cores.
    #[default]
    Cpu,
    /// One core, portable code, matrix products as plain sums in `Float64`: slow, and what `Cpu` is compared with.
    Reference,
}

impl Device {
    pub const ALL: [Device; 2] = [Device::Cpu, Device::Reference];

    pub fn name(self) -> &'static str {
        match self {
            Device::Cpu => "cpu",
            Device::Reference => "reference",
        }
    }
}

impl std::str::FromStr for Device {
    type Err = String;

    fn from_str(name: &str) -> Result<Device, String> {
        Device::ALL.into_iter().find(|d| d.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Device::ALL.iter().map(|d| d.name()).collect();
            format!("there is no device `{name}`; the devices are {}", names.join(" and "))
        })
    }
}

thread_local! {
    static CURRENT: Cell<Device> = const { Cell::new(Device::Cpu) };
}

/// Runs `work` with every kernel that this thread starts meanwhile on `device`.
pub fn with_device<R>(device: Device, work: impl FnOnce() -> R) -> R {
    struct Restore(Device);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(CURRENT.replace(device));
    work()
}

pub(crate) fn is_reference() -> bool {
    CURRENT.get() == Device::Reference
}
