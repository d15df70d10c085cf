//! The test harness and its cases as data.
