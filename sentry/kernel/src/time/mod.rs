//! Clocks and timers: [`clock`] reads them, [`timers`] are `setitimer(2)` and `timer_create(2)`.

pub mod clock;
pub mod timers;
