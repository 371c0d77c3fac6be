//! Memory across fork and faults.

use crate::{exited, killed, run};
use abi::{
    MapFlags, Prot, Signal,
    signal::{SEGV_ACCERR, SEGV_MAPERR, SaFlags},
    sysno,
};

#[test]
fn a_child_has_a_copy_that_neither_side_changes_for_the_other() {
    run(|app| {
        let at = app.mmap(3 * 4096, MapFlags::PRIVATE);
        app.store(at + 4094, 0x0403_0201u32); // over the end of a page
        let (hold, let_go) = app.pipe();
        let child = app.fork(move |app| {
            assert_eq!(app.load::<u32>(at + 4094), 0x0403_0201);
            app.read(hold, 1).unwrap();
            assert_eq!(app.load::<u32>(at + 4094), 0x0403_0201, "the parent wrote meanwhile");
            app.store(at + 8192, 1u32);
        });
        app.store(at + 4094, 9u32);
        app.write(let_go, b"x").unwrap();
        assert_eq!(app.reap(child), exited(0));
        assert_eq!((app.load::<u32>(at + 4094), app.load::<u32>(at + 8192)), (9, 0));
    });
}

#[test]
fn shared_memory_is_one() {
    run(|app| {
        let at = app.mmap(4096, MapFlags::SHARED);
        let child = app.fork(move |app| app.store(at, 5u32));
        assert_eq!(app.reap(child), exited(0));
        assert_eq!(app.load::<u32>(at), 5);
    });
}

#[test]
fn a_fault_is_a_signal_with_the_address_and_can_be_mended() {
    run(|app| {
        let at = app.mmap(4096, MapFlags::PRIVATE);
        let protect = |app: &mut crate::App, prot: Prot| {
            app.call(sysno::MPROTECT, [at, 4096, u64::from(prot.bits())]).unwrap()
        };
        protect(app, Prot::READ);
        app.on_signal(Signal::SIGSEGV, SaFlags::empty(), move |app, info| {
            assert_eq!((info.si_code, info.si_addr()), (SEGV_ACCERR, at + 8));
            app.call(sysno::MPROTECT, [at, 4096, u64::from((Prot::READ | Prot::WRITE).bits())]).unwrap();
        });
        app.store(at + 8, 1u32);
        assert_eq!(app.load::<u32>(at + 8), 1);
    });
}

#[test]
fn a_fault_without_a_handler_is_the_end_and_so_is_one_that_is_blocked() {
    run(|app| {
        let nowhere = 0x7000;
        let child = app.fork(move |app| {
            app.load::<u32>(nowhere);
        });
        assert_eq!(app.reap(child) & 0x7f, killed(Signal::SIGSEGV));
        let child = app.fork(move |app| {
            app.on_signal(Signal::SIGSEGV, SaFlags::empty(), |_, _| panic!("no way to go on behind it"));
            app.block(&[Signal::SIGSEGV]);
            app.load::<u32>(nowhere);
        });
        assert_eq!(app.reap(child) & 0x7f, killed(Signal::SIGSEGV));
        let child = app.fork(move |app| {
            app.on_signal(Signal::SIGSEGV, SaFlags::empty(), move |app, info| {
                assert_eq!((info.si_code, info.si_addr()), (SEGV_MAPERR, nowhere));
                app.exit_group(1)
            });
            app.load::<u32>(nowhere);
        });
        assert_eq!(app.reap(child), exited(1));
    });
}
