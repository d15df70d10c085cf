//! OpenCL without a library at link time.
//!
//! `cl-sys`, below `ocl`, declares the entry points of OpenCL and links `-lOpenCL`. This crate defines each of them and
//! forwards to the library of the machine, opened when the first one is called. Where there is none, each answers as
//! an OpenCL without platforms does. So one binary runs with and without OpenCL.
//!
//! Ask [`n_platforms`] before anything in `ocl`: it retries for ten seconds when there is no platform.
#![allow(unsafe_code)]

mod table;

use std::ffi::c_void;
use std::sync::OnceLock;

use table::for_each_entry_point;

/// The environment variable that makes OpenCL absent when it is `off`.
pub const SWITCH: &str = "STARK_OPENCL";

type P = *mut c_void;
type S = usize;
type U = u32;
type I = i32;
type B = u64;

/// What a machine without OpenCL answers: no platform was found.
const PLATFORM_NOT_FOUND: I = -1001;

/// Why there is no OpenCL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absent {
    /// `STARK_OPENCL=off`.
    SwitchedOff,
    /// No library of that name could be opened.
    NoLibrary(String),
    /// A library that knows no platform: it was installed without a driver.
    NoPlatform,
}

impl std::fmt::Display for Absent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Absent::SwitchedOff => write!(f, "OpenCL is switched off by {SWITCH}=off"),
            Absent::NoLibrary(why) => write!(f, "OpenCL is not installed on this machine ({why})"),
            Absent::NoPlatform => f.write_str("OpenCL is installed, but no driver for a device"),
        }
    }
}

impl std::error::Error for Absent {}

#[cfg(target_os = "macos")]
const NAMES: [&str; 1] = ["/System/Library/Frameworks/OpenCL.framework/OpenCL"];
#[cfg(target_os = "windows")]
const NAMES: [&str; 1] = ["OpenCL.dll"];
#[cfg(not(any(target_os = "macos", target_os = "windows")))]
const NAMES: [&str; 2] = ["libOpenCL.so.1", "libOpenCL.so"];

fn library() -> Result<&'static libloading::Library, Absent> {
    static LIBRARY: OnceLock<Result<libloading::Library, Absent>> = OnceLock::new();
    let opened = LIBRARY.get_or_init(|| {
        if std::env::var_os(SWITCH).is_some_and(|value| value == "off") {
            return Err(Absent::SwitchedOff);
        }
        let mut first = None;
        for name in NAMES {
            // SAFETY: the library's initialisers are those of an OpenCL loader, which any program may run, and it is
            // never closed.
            match unsafe { libloading::Library::new(name) } {
                Ok(library) => return Ok(library),
                Err(why) => first = first.or(Some(why.to_string())),
            }
        }
        Err(Absent::NoLibrary(first.unwrap_or_default()))
    });
    opened.as_ref().map_err(Absent::clone)
}

/// How many platforms there are, at least 1; or why there is none. Takes no time when OpenCL is absent.
pub fn n_platforms() -> Result<u32, Absent> {
    // Keeps every definition in the program, whatever order the linker reads archives in.
    std::hint::black_box(&ENTRY_POINTS.0);
    library()?;
    let mut n = 0;
    // SAFETY: no list is asked for, and the count is written to a live variable.
    let status = unsafe { clGetPlatformIDs(0, std::ptr::null_mut(), (&raw mut n).cast()) };
    if status == 0 && n > 0 { Ok(n) } else { Err(Absent::NoPlatform) }
}

/// An entry point of the library.
///
/// # Safety
/// `F` is the type of the function of that name.
unsafe fn find<F: Copy>(name: &str) -> Option<F> {
    // SAFETY: the caller states the type.
    let symbol = unsafe { library().ok()?.get::<F>(name.as_bytes()) };
    symbol.ok().map(|symbol| *symbol)
}

macro_rules! forward {
    ($name:ident, ($($arg:ident: $T:ident),*) -> $R:ty, absent $absent:expr) => {{
        static PLACE: OnceLock<Option<unsafe extern "system" fn($($T),*) -> $R>> = OnceLock::new();
        // SAFETY: the table is OpenCL's, so the function of this name has this type.
        match PLACE.get_or_init(|| unsafe { find(stringify!($name)) }) {
            // SAFETY: the arguments are the caller's, who keeps what OpenCL asks of them.
            Some(call) => unsafe { call($($arg),*) },
            None => $absent,
        }
    }};
}

macro_rules! define {
    (status $name:ident($($arg:ident: $T:ident),*)) => {
        /// # Safety
        /// As OpenCL states.
        #[unsafe(no_mangle)]
        pub unsafe extern "system" fn $name($($arg: $T),*) -> I {
            forward!($name, ($($arg: $T),*) -> I, absent PLATFORM_NOT_FOUND)
        }
    };
    (handle $name:ident($($arg:ident: $T:ident),*)) => {
        /// # Safety
        /// As OpenCL states.
        #[unsafe(no_mangle)]
        pub unsafe extern "system" fn $name($($arg: $T,)* errcode_ret: P) -> P {
            forward!($name, ($($arg: $T,)* errcode_ret: P) -> P, absent {
                if !errcode_ret.is_null() {
                    // SAFETY: not null, so it points at the caller's error code.
                    unsafe { *errcode_ret.cast::<I>() = PLATFORM_NOT_FOUND };
                }
                std::ptr::null_mut()
            })
        }
    };
    (pointer $name:ident($($arg:ident: $T:ident),*)) => {
        /// # Safety
        /// As OpenCL states.
        #[unsafe(no_mangle)]
        pub unsafe extern "system" fn $name($($arg: $T),*) -> P {
            forward!($name, ($($arg: $T),*) -> P, absent std::ptr::null_mut())
        }
    };
    (nothing $name:ident($($arg:ident: $T:ident),*)) => {
        /// # Safety
        /// As OpenCL states.
        #[unsafe(no_mangle)]
        pub unsafe extern "system" fn $name($($arg: $T),*) {
            forward!($name, ($($arg: $T),*) -> (), absent ())
        }
    };
}

macro_rules! define_all {
    ($($kind:ident $name:ident($($arg:ident: $T:ident),*);)*) => {
        #[cfg(not(any(target_os = "macos", target_os = "windows")))]
        #[allow(non_snake_case)]
        mod entry_points {
            use super::*;
            $( define!($kind $name($($arg: $T),*)); )*
        }
        #[cfg(not(any(target_os = "macos", target_os = "windows")))]
        pub use entry_points::*;

        /// The definitions, as addresses that may be shared.
        struct Addresses([*const (); [$(stringify!($name)),*].len()]);
        // SAFETY: the addresses of functions, which nobody writes to.
        unsafe impl Sync for Addresses {}
        static ENTRY_POINTS: Addresses = Addresses([$( $name as *const () ),*]);
    };
}
for_each_entry_point!(define_all);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_point_is_there_or_answers_that_it_is_absent() {
        let mut error: I = 0;
        // SAFETY: both calls are given valid places to write to, or none.
        let (status, context) = unsafe {
            let null = std::ptr::null_mut();
            (
                clGetPlatformInfo(null, 0, 0, null, null),
                clCreateContext(null, 0, null, null, null, (&raw mut error).cast()),
            )
        };
        assert!(context.is_null() && error != 0 && status != 0);
        if let Err(why) = n_platforms() {
            println!("skipped: {why}");
        }
    }
}
