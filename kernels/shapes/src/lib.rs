//! Shape and dtype rules of every tensor operation, shared by compiler and run time.
