//! Clocks and timers: [`clock`] reads them, [`timers`] are `setitimer(2)` and `timer_create(2)`; [`load`] is how busy it is.

pub mod clock;
pub mod load;
pub mod timers;
