//! `ExecArgs`: running a program in a container, and what the descriptors that come along are for.

use crate::{Error, ErrorKind, null_default};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Argument of `Proc.Exec` and `containerManager.ExecuteAsync`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecArgs {
    /// Executable; empty means: look for `argv[0]` along the `PATH` in `envv`.
    #[serde(deserialize_with = "null_default")]
    pub filename: String,
    /// Argument vector.
    #[serde(deserialize_with = "null_default")]
    pub argv: Vec<String>,
    /// Environment, `NAME=value`.
    #[serde(deserialize_with = "null_default")]
    pub envv: Vec<String>,
    /// Working directory; empty means `/`.
    #[serde(deserialize_with = "null_default")]
    pub wd: String,
    /// User id.
    #[serde(rename = "KUID")]
    pub kuid: u32,
    /// Group id.
    #[serde(rename = "KGID")]
    pub kgid: u32,
    /// Supplementary groups.
    #[serde(rename = "ExtraKGIDs", deserialize_with = "null_default")]
    pub extra_kgids: Vec<u32>,
    /// `PR_SET_NO_NEW_PRIVS` before the program starts.
    #[serde(rename = "NoNewPrivileges")]
    pub no_new_privileges: bool,
    /// Capability sets; none means: as the container's init has them.
    #[serde(rename = "Capabilities")]
    pub capabilities: Option<Capabilities>,
    /// Descriptors 0, 1 and 2 are one terminal, which becomes the controlling terminal of a new session.
    #[serde(rename = "StdioIsPty")]
    pub stdio_is_pty: bool,
    /// Number in the new process of each file that comes along, in order.
    #[serde(rename = "GuestFDs", deserialize_with = "null_default")]
    pub guest_fds: Vec<i32>,
    /// Container to run in; empty means the root container.
    #[serde(rename = "ContainerID", deserialize_with = "null_default")]
    pub container_id: String,
    /// Resource limits by `RLIMIT_*` name; those not named are as the container's init has them.
    #[serde(rename = "Limits", deserialize_with = "null_default")]
    pub limits: BTreeMap<String, Limit>,
    /// Identity of the mount namespace to join; none means the container's.
    #[serde(rename = "MountNamespace", deserialize_with = "namespace_ref")]
    pub mount_namespace: Option<u64>,
    /// Identity of the pid namespace to join; none means the container's.
    #[serde(rename = "PIDNamespace", deserialize_with = "namespace_ref")]
    pub pid_namespace: Option<u64>,
}

/// One resource limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Soft limit; `u64::MAX` is none.
    #[serde(rename = "Cur")]
    pub cur: u64,
    /// Hard limit.
    #[serde(rename = "Max")]
    pub max: u64,
}

/// Capability sets as bit masks by capability number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Permitted.
    #[serde(rename = "PermittedCaps")]
    pub permitted: u64,
    /// Inheritable.
    #[serde(rename = "InheritableCaps")]
    pub inheritable: u64,
    /// Effective.
    #[serde(rename = "EffectiveCaps")]
    pub effective: u64,
    /// Bounding.
    #[serde(rename = "BoundingCaps")]
    pub bounding: u64,
    /// Ambient.
    #[serde(rename = "AmbientCaps")]
    pub ambient: u64,
}

/// What a file that came with an `ExecArgs` is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileUse {
    /// It is the program.
    Executable,
    /// It is this descriptor of the new process.
    Guest(i32),
}

impl ExecArgs {
    /// Checks the arguments against `files`, the number of descriptors that came along, and says what each
    /// of them is for. The executable, where there is one, comes first.
    pub fn plan_files(&self, files: usize) -> Result<Vec<FileUse>, Error> {
        let invalid = |text: &str| Error::new(ErrorKind::InvalidArgument, text).with_errno(EINVAL);
        let executable = match files.checked_sub(self.guest_fds.len()) {
            Some(0) => false,
            Some(1) => true,
            _ => {
                return Err(invalid(
                    "length of payload files does not match length of file descriptor array",
                ));
            }
        };
        if executable && !self.filename.is_empty() {
            return Err(invalid("cannot specify both a file and a filename to execute"));
        }
        if let Some(fd) = self.guest_fds.iter().find(|fd| **fd < 0) {
            return Err(invalid(&format!("guest file descriptor {fd} is negative")));
        }
        if self.filename.is_empty() && self.argv.is_empty() {
            return Err(invalid("argv must not be empty where no filename is given"));
        }
        let program = executable.then_some(FileUse::Executable);
        Ok(program.into_iter().chain(self.guest_fds.iter().map(|fd| FileUse::Guest(*fd))).collect())
    }
}

const EINVAL: i32 = 22;

/// A namespace's identity. Clients that know namespaces only as objects of their own send something that is
/// not a number; there is nothing that it could name here, so it counts as none.
fn namespace_ref<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(serde_json::Value::deserialize(deserializer)?.as_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(filename: &str, guest_fds: &[i32]) -> ExecArgs {
        ExecArgs {
            filename: filename.into(),
            argv: vec!["a".into()],
            guest_fds: guest_fds.to_vec(),
            ..ExecArgs::default()
        }
    }

    #[test]
    fn files_are_planned() {
        use FileUse::{Executable, Guest};
        assert_eq!(args("", &[0, 1, 2]).plan_files(3).unwrap(), [Guest(0), Guest(1), Guest(2)]);
        assert_eq!(args("", &[5]).plan_files(2).unwrap(), [Executable, Guest(5)]);
        let mismatch = "length of payload files does not match length of file descriptor array";
        assert_eq!(args("", &[0]).plan_files(3).unwrap_err().text, mismatch);
        assert_eq!(args("", &[0, 1]).plan_files(1).unwrap_err().text, mismatch);
        assert!(args("/bin/a", &[0]).plan_files(2).unwrap_err().text.contains("both a file and a filename"));
        assert!(args("", &[-1]).plan_files(1).unwrap_err().text.contains("negative"));
        assert!(ExecArgs::default().plan_files(0).is_err());
    }

    #[test]
    fn null_lists_are_empty_lists() {
        let text = r#"{"filename":"/bin/ls","argv":["ls"],"envv":null,"wd":"","KUID":0,"KGID":0,
            "ExtraKGIDs":null,"Capabilities":null,"GuestFDs":null,"MountNamespace":null,"Limits":null,
            "PIDNamespace":{},"unknown":1}"#;
        let args: ExecArgs = serde_json::from_str(text).unwrap();
        assert_eq!((args.envv.len(), args.guest_fds.len(), args.pid_namespace), (0, 0, None));
        assert!(args.capabilities.is_none());
    }
}
