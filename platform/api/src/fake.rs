//! `FakePlatform`: application code is a script of traps; for unit tests of the kernel with no host at all.
