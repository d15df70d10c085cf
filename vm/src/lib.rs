//! STARK's virtual machine: values, heaps, interpreter, actors and natives.
