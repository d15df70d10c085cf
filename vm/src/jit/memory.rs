//! Memory for machine code: written first, then executable and never writable again.

use memmap2::MmapMut;

/// Bytes of machine code that a process makes at most; what is hot beyond that stays in the interpreter. Far above what
/// programs have.
const MAX_BYTES: usize = 256 << 20;

/// How much machine code there is.
#[derive(Default)]
pub(super) struct Memory {
    n_bytes: usize,
}

impl Memory {
    /// A copy of `code` that can be called, for as long as the process lives. An error says why the system refuses.
    pub fn publish(&mut self, code: &[u8]) -> Result<*const u8, String> {
        if self.n_bytes + code.len() > MAX_BYTES {
            return Err(format!("there are {} bytes of machine code, the limit is {MAX_BYTES}", self.n_bytes));
        }
        let refused = |error: std::io::Error| format!("memory for machine code: {error}");
        let mut memory = MmapMut::map_anon(code.len()).map_err(refused)?;
        memory.copy_from_slice(code);
        let memory = memory.make_exec().map_err(refused)?;
        self.n_bytes += code.len();
        Ok(Box::leak(Box::new(memory)).as_ptr())
    }
}
