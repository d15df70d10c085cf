//! One loop body, compiled for several instruction sets, chosen by what the processor has.

use std::sync::OnceLock;

use super::lanes::{Lanes, Portable};

/// A loop that is worth compiling for wide vectors. `run` must be `#[inline(always)]`, and so must what it calls.
pub trait Kernel {
    type Out;
    fn run(self) -> Self::Out;
}

/// The widest instruction set that kernels may use here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Portable,
    Avx2,
    Avx512,
}

pub fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    if crate::device::is_reference() { Level::Portable } else { *LEVEL.get_or_init(detect) }
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Level::Portable => "portable code",
            Level::Avx2 => "AVX2 and FMA",
            Level::Avx512 => "AVX-512 (F, BW, DQ, VL)",
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Level {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match (avx2, avx512) {
        (true, true) => Level::Avx512,
        (true, false) => Level::Avx2,
        _ => Level::Portable,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Level {
    Level::Portable
}

#[cfg(target_arch = "x86_64")]
pub fn dispatch<K: Kernel>(kernel: K) -> K::Out {
    #[target_feature(enable = "avx2,fma")]
    fn avx2<K: Kernel>(kernel: K) -> K::Out {
        kernel.run()
    }
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
    fn avx512<K: Kernel>(kernel: K) -> K::Out {
        kernel.run()
    }
    match level() {
        // SAFETY: `detect` saw every feature that the function is compiled for.
        Level::Avx512 => unsafe { avx512(kernel) },
        // SAFETY: as above.
        Level::Avx2 => unsafe { avx2(kernel) },
        Level::Portable => kernel.run(),
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub fn dispatch<K: Kernel>(kernel: K) -> K::Out {
    kernel.run()
}

/// A loop over vectors by name. `run` must be `#[inline(always)]`, and so must what it calls.
pub trait Vectors {
    type Out;
    /// # Safety
    /// The features of `L` were detected.
    unsafe fn run<L: Lanes>(self) -> Self::Out;
}

/// Runs a loop over the widest vectors that are here.
pub fn vectors<K: Vectors>(kernel: K) -> K::Out {
    struct As<K, L>(K, std::marker::PhantomData<L>);

    impl<K: Vectors, L: Lanes> Kernel for As<K, L> {
        type Out = K::Out;
        #[inline(always)]
        fn run(self) -> K::Out {
            // SAFETY: made below, for what `level` found.
            unsafe { self.0.run::<L>() }
        }
    }
    match level() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => dispatch(As(kernel, std::marker::PhantomData::<std::arch::x86_64::__m512>)),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => dispatch(As(kernel, std::marker::PhantomData::<std::arch::x86_64::__m256>)),
        _ => dispatch(As(kernel, std::marker::PhantomData::<Portable>)),
    }
}
