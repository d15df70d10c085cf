//! The limits of a run: from the command line, else the environment, else the package's `stark.toml`.

use crate::commands::refuse;
use stark_project::{Limit, Project};
use stark_vm::Options;

/// Options of the command line.
#[derive(clap::Args)]
pub struct Limits {
    /// Largest heap of one task or actor, as 500000, 64K, 512M or 2G; passing it throws OutOfMemoryError in that task (8G; STARK_HEAP_LIMIT)
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| Limit::Heap.parse(text))]
    heap_limit: Option<u64>,
    /// Memory of all values, messages and tensors together; who would pass it gets OutOfMemoryError, a model that does not fit is refused (STARK_MEMORY)
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| Limit::Memory.parse(text))]
    memory: Option<u64>,
    /// Largest stack of one task; calls nested deeper throw StackOverflowError (64M, at most 32G; STARK_STACK_LIMIT)
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| Limit::Stack.parse(text))]
    stack_limit: Option<u64>,
    /// Tasks and actors that are alive at once; beginning another throws OutOfMemoryError (10000000; STARK_MAX_TASKS)
    #[arg(long, value_name = "N", value_parser = |text: &str| Limit::Tasks.parse(text))]
    max_tasks: Option<u64>,
    /// Threads for files, programs and the network's names; what comes when all are busy waits (512; STARK_BLOCKING_THREADS)
    #[arg(long, value_name = "N", value_parser = |text: &str| Limit::Blocking.parse(text))]
    blocking_threads: Option<u64>,
}

impl Limits {
    fn given(&self, limit: Limit) -> Option<u64> {
        match limit {
            Limit::Heap => self.heap_limit,
            Limit::Memory => self.memory,
            Limit::Stack => self.stack_limit,
            Limit::Tasks => self.max_tasks,
            Limit::Blocking => self.blocking_threads,
        }
    }
}

/// Sets in `options` what is limited.
pub fn set(options: &mut Options, given: Option<&Limits>, project: Option<&Project>) -> Result<(), i32> {
    let manifest = project.and_then(|project| project.root().manifest.as_ref());
    for limit in Limit::ALL {
        let value = match (given.and_then(|given| given.given(limit)), std::env::var_os(limit.variable())) {
            (Some(value), _) => Some(value),
            (None, Some(text)) => {
                let wrong = |why| refuse(format!("{}: {why}", limit.variable()));
                Some(limit.parse(&text.to_string_lossy()).map_err(wrong)?)
            }
            (None, None) => manifest.and_then(|m| m.limits.iter().find(|(of, _)| *of == limit)).map(|(_, n)| *n),
        };
        let Some(value) = value else { continue };
        // More than there are addresses is as good as none.
        let value = usize::try_from(value).unwrap_or(usize::MAX);
        match limit {
            Limit::Heap => options.heap_limit = value,
            Limit::Memory => options.memory = Some(value),
            Limit::Stack => options.stack_limit = value,
            Limit::Tasks => options.max_tasks = value,
            Limit::Blocking => options.blocking_threads = value,
        }
    }
    Ok(())
}
