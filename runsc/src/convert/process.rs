//! `process` of a configuration, or of `exec --process`.

use super::capability;
use anyhow::Context;
use boot::config::ProcessConfig;
use control_proto::Capabilities;
use oci_spec::runtime::Process;

/// Converts a checked process.
pub fn process(process: &Process) -> anyhow::Result<ProcessConfig> {
    let user = process.user();
    let capabilities = match process.capabilities() {
        // A configuration without capabilities gives none.
        None => Capabilities::default(),
        Some(sets) => Capabilities {
            permitted: capability::mask(sets.permitted()),
            inheritable: capability::mask(sets.inheritable()),
            effective: capability::mask(sets.effective()),
            bounding: capability::mask(sets.bounding()),
            ambient: capability::mask(sets.ambient()),
        },
    };
    let rlimits = process
        .rlimits()
        .iter()
        .flatten()
        .map(|limit| (limit.typ().to_string(), (limit.soft(), limit.hard())))
        .collect();
    let cwd = process.cwd().to_str().context("process.cwd is not UTF-8")?;
    let console_size = process.console_size().and_then(|size| {
        let side = |value: u64| u16::try_from(value).ok().filter(|value| *value > 0);
        Some((side(size.height())?, side(size.width())?))
    });
    Ok(ProcessConfig {
        args: process.args().clone().unwrap_or_default(),
        env: process.env().clone().unwrap_or_default(),
        cwd: cwd.to_owned(),
        uid: user.uid(),
        gid: user.gid(),
        groups: user.additional_gids().clone().unwrap_or_default(),
        capabilities,
        rlimits,
        no_new_privs: process.no_new_privileges().unwrap_or(false),
        terminal: process.terminal().unwrap_or(false),
        console_size,
        umask: user.umask(),
        oom_score_adj: process.oom_score_adj(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_docker_passes_to_exec() {
        let text = r#"{"terminal":true,"consoleSize":{"height":24,"width":80},
            "user":{"uid":3,"gid":4,"additionalGids":[4,5]},"args":["sh"],"env":["A=b"],"cwd":"/etc",
            "capabilities":{"bounding":["CAP_CHOWN"],"effective":["CAP_CHOWN"],"permitted":["CAP_CHOWN"]},
            "rlimits":[{"type":"RLIMIT_NOFILE","hard":20,"soft":10}],"oomScoreAdj":0}"#;
        let oci: Process = serde_json::from_str(text).unwrap();
        let process = process(&oci).unwrap();
        assert_eq!((process.uid, process.gid, process.groups.as_slice()), (3, 4, &[4, 5][..]));
        assert_eq!(process.capabilities.bounding, 1);
        assert_eq!(process.capabilities.ambient, 0);
        assert_eq!(process.rlimits["RLIMIT_NOFILE"], (10, 20));
        assert_eq!(process.console_size, Some((24, 80)));
        assert!(process.terminal && !process.no_new_privs);
    }
}
