//! Capabilities: names, numbers, masks.

use abi::process::Cap;
use oci_spec::runtime::Capabilities;

/// All names, with the prefix, by number.
pub fn names() -> Vec<String> {
    Cap::ALL.iter().map(|cap| format!("CAP_{}", cap.name())).collect()
}

/// The bit of a capability by name, with or without prefix, any case.
pub fn parse(name: &str) -> Option<u64> {
    Cap::from_name(name).map(|cap| 1 << cap.number())
}

/// A set as a mask.
pub fn mask(set: &Option<Capabilities>) -> u64 {
    set.iter().flatten().filter_map(|capability| parse(&capability.to_string())).fold(0, |all, bit| all | bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        assert_eq!(parse("CAP_CHOWN"), Some(1));
        assert_eq!(parse("sys_admin"), Some(1 << 21));
        assert_eq!(parse("CAP_CHECKPOINT_RESTORE"), Some(1 << 40));
        assert_eq!(parse("CAP_NOPE"), None);
        let set: Capabilities = serde_json::from_str(r#"["CAP_KILL","CAP_NET_RAW","CAP_SETFCAP"]"#).unwrap();
        assert_eq!(mask(&Some(set)), 1 << 5 | 1 << 13 | 1 << 31);
        assert_eq!(mask(&None), 0);
    }
}
