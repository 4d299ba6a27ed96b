//! The system call filters: everything is allowed but a deny list.
//!
//! The namespaces and the missing capabilities hold a command; the filters take away kernel interfaces that a build
//! or a test does not need and that have been ways out before. bubblewrap loads them last, so they bind the command
//! alone.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Calls that are refused whatever their arguments.
const DENIED: [i64; 46] = [
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// Every flag of `clone` that makes a namespace.
const NEW_NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];

/// Input to a terminal in another's name.
const TERMINAL_INPUT: [u64; 2] = [0x5412 /* TIOCSTI */, 0x541C /* TIOCLINUX */];

/// Execution domains that are in use: none, 32 bits, an old release's name, no random addresses, and the question.
const PERSONALITIES: [u64; 5] = [0, 0x0008, 0x0002_0000, 0x0004_0000, 0xffff_ffff];

/// The first call number of the x32 interface, which passes any filter by 64-bit numbers.
const X32: u32 = 0x4000_0000;

/// The answer of a filter that, with an error's number added, refuses a call.
const REFUSED: u32 = 0x0005_0000;

/// Returns the filters as bubblewrap reads them, to be loaded together.
pub(super) fn filters() -> Result<Vec<Vec<u8>>, String> {
    let architecture: TargetArch = std::env::consts::ARCH
        .try_into()
        .map_err(|_| format!("there is no system call filter for {}", std::env::consts::ARCH))?;
    let compile = |rules: Rules, errno: i32| -> Result<Vec<u8>, String> {
        let action = SeccompAction::Errno(errno.unsigned_abs());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, architecture)
            .map_err(|error| error.to_string())?;
        let program: BpfProgram = filter.try_into().map_err(|error| format!("{error}"))?;
        Ok(program
            .iter()
            .flat_map(|step| instruction(step.code, step.jt, step.jf, step.k))
            .collect())
    };
    let mut filters = vec![
        compile(denied()?, libc::EPERM)?,
        compile(unknown_families()?, libc::EAFNOSUPPORT)?,
        // Its flags lie in memory, where no filter can look; on this answer the C library uses `clone`.
        compile(Rules::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)?,
    ];
    if architecture == TargetArch::x86_64 {
        filters.push(no_x32());
    }
    Ok(filters)
}

fn denied() -> Result<Rules, String> {
    let mut rules: Rules = DENIED.into_iter().map(|call| (call, Vec::new())).collect();
    let namespaces = NEW_NAMESPACES
        .into_iter()
        .map(|flag| u64::from(flag.unsigned_abs()))
        .map(|flag| rule(&[(0, SeccompCmpOp::MaskedEq(flag), flag)]));
    rules.insert(libc::SYS_clone, namespaces.collect::<Result<_, _>>()?);
    let inputs = TERMINAL_INPUT.map(|request| rule(&[(1, SeccompCmpOp::Eq, request)]));
    rules.insert(libc::SYS_ioctl, inputs.into_iter().collect::<Result<_, _>>()?);
    let odd = PERSONALITIES.map(|usual| (0, SeccompCmpOp::Ne, usual));
    rules.insert(libc::SYS_personality, vec![rule(&odd)?]);
    Ok(rules)
}

/// Sockets of any family but Unix, IP, and the kernel's answers about interfaces and routes.
fn unknown_families() -> Result<Rules, String> {
    let known = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK]
        .map(|family| (0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs())));
    let other_netlink = [
        (0, SeccompCmpOp::Eq, u64::from(libc::AF_NETLINK.unsigned_abs())),
        (2, SeccompCmpOp::Ne, u64::from(libc::NETLINK_ROUTE.unsigned_abs())),
    ];
    Ok(Rules::from([(
        libc::SYS_socket,
        vec![rule(&known)?, rule(&other_netlink)?],
    )]))
}

/// All conditions together: argument, comparison, value.
fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, String> {
    let conditions = conditions
        .iter()
        .map(|(argument, comparison, value)| {
            SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, comparison.clone(), *value)
        })
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    SeccompRule::new(conditions).map_err(|error| error.to_string())
}

fn no_x32() -> Vec<u8> {
    [
        instruction(0x20, 0, 0, 0),   // load the call's number
        instruction(0x35, 0, 1, X32), // at least X32?
        instruction(0x06, 0, 0, REFUSED + libc::ENOSYS.unsigned_abs()), // then: unknown
        instruction(0x06, 0, 0, 0x7fff_0000), // else: allowed
    ]
    .concat()
}

/// Lays an instruction out as `struct sock_filter`.
fn instruction(code: u16, if_true: u8, if_false: u8, value: u32) -> [u8; 8] {
    let [code_0, code_1] = code.to_ne_bytes();
    let [value_0, value_1, value_2, value_3] = value.to_ne_bytes();
    [
        code_0, code_1, if_true, if_false, value_0, value_1, value_2, value_3,
    ]
}

#[cfg(test)]
mod tests {
    use super::{DENIED, filters};

    #[test]
    fn the_filters_compile() {
        let filters = filters().unwrap();
        assert!(
            filters
                .iter()
                .all(|filter| !filter.is_empty() && filter.len() % 8 == 0)
        );
    }

    #[test]
    fn no_call_is_listed_twice() {
        let mut sorted = DENIED.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), DENIED.len());
    }
}
