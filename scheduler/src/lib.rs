//! STARK's M:N scheduler: workers, queues, timers, parking.
