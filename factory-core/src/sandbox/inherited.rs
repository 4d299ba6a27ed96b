//! Finds descriptors of this process that a child would inherit by accident.
//!
//! Everything that Rust opens is closed on exec, but whoever started this program may have left descriptors open in
//! it, and a library of an embedder may have opened some. bubblewrap would hand them to the command.

use std::os::fd::RawFd;

/// The flag in `fdinfo`, in octal there as here.
const CLOSED_ON_EXEC: u32 = 0o2_000_000;

/// Returns the descriptors above standard error that are not closed on exec.
pub(super) fn inheritable() -> std::io::Result<Vec<RawFd>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fdinfo")?.flatten() {
        let Some(descriptor) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if descriptor <= 2 {
            continue;
        }
        // One that is closed meanwhile is no one's to inherit.
        let Ok(info) = std::fs::read_to_string(entry.path()) else {
            continue;
        };
        if !is_closed_on_exec(&info) {
            found.push(descriptor);
        }
    }
    Ok(found)
}

fn is_closed_on_exec(info: &str) -> bool {
    info.lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
        .is_some_and(|flags| flags & CLOSED_ON_EXEC != 0)
}

#[cfg(test)]
mod tests {
    use super::is_closed_on_exec;

    #[test]
    fn the_flag_is_read_from_fdinfo() {
        assert!(is_closed_on_exec("pos:\t0\nflags:\t02100002\nmnt_id:\t15\n"));
        assert!(!is_closed_on_exec("pos:\t0\nflags:\t0100002\nmnt_id:\t15\n"));
        assert!(
            !is_closed_on_exec("pos:\t0\n"),
            "what is unknown counts as inheritable"
        );
    }
}
