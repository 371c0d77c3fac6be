//! Names of the methods.

/// Runs a program and waits for it.
pub const PROC_EXEC: &str = "Proc.Exec";
/// A process listing as text.
pub const PROC_PS: &str = "Proc.Ps";
/// Starts the container that the sandbox was made with.
pub const START_ROOT: &str = "containerManager.StartRoot";
/// Adds a container to the sandbox.
pub const CREATE_SUBCONTAINER: &str = "containerManager.CreateSubcontainer";
/// Starts such a container.
pub const START_SUBCONTAINER: &str = "containerManager.StartSubcontainer";
/// Ends such a container, or the root container, with everything in it.
pub const DESTROY_SUBCONTAINER: &str = "containerManager.DestroySubcontainer";
/// Processes of a container.
pub const PROCESSES: &str = "containerManager.Processes";
/// Starts a program and answers with its process id.
pub const EXECUTE_ASYNC: &str = "containerManager.ExecuteAsync";
/// Waits for a container's init.
pub const WAIT: &str = "containerManager.Wait";
/// Waits for a process that `ExecuteAsync` started.
pub const WAIT_PID: &str = "containerManager.WaitPID";
/// Sends a signal.
pub const SIGNAL: &str = "containerManager.Signal";
/// Stops all application code.
pub const PAUSE: &str = "containerManager.Pause";
/// Lets it go on.
pub const RESUME: &str = "containerManager.Resume";
/// Resource figures.
pub const EVENT: &str = "containerManager.Event";
/// Whether a container waits, runs or has stopped.
pub const RUNTIME_STATE: &str = "containerManager.ContainerRuntimeState";
/// Writes the sandbox's state.
pub const CHECKPOINT: &str = "containerManager.Checkpoint";
/// Reads it back.
pub const RESTORE: &str = "containerManager.Restore";
/// Connects a descriptor with a port of the container.
pub const PORT_FORWARD: &str = "containerManager.PortForward";
