//! What a command can and cannot do in its sandbox: each denied case with a harmless twin that works.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its own helpers too"
)]

use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use factory_core::sandbox::{
    CommandOutcome, CommandSpec, Exit, Limits, Network, RunLock, Sandbox, SandboxError, SandboxLevel,
};
use tokio_util::sync::CancellationToken;

/// A sandbox with a checkout and a home beside a file that is none of a command's business.
struct Place {
    sandbox: Sandbox,
    folder: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let sandbox = Sandbox::probe(Vec::new()).await;
        assert!(
            matches!(sandbox.level(), SandboxLevel::Bubblewrap { .. }),
            "{:?}",
            sandbox.level()
        );
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("checkout")).unwrap();
        std::fs::create_dir(folder.path().join("home")).unwrap();
        std::fs::write(folder.path().join("secret"), "canary").unwrap();
        Self { sandbox, folder }
    }

    fn spec(&self, script: &str) -> CommandSpec {
        CommandSpec {
            script: script.to_owned(),
            checkout: self.folder.path().join("checkout"),
            home: self.folder.path().join("home"),
            network: Network::Off,
            limits: Limits {
                wall: Duration::from_mins(2),
                ..Limits::default()
            },
        }
    }

    fn outside(&self) -> &Path {
        self.folder.path()
    }

    async fn run(&self, script: &str) -> CommandOutcome {
        self.run_spec(&self.spec(script)).await
    }

    async fn run_spec(&self, spec: &CommandSpec) -> CommandOutcome {
        let running = self.sandbox.start(spec, None).await.unwrap();
        running.wait(&CancellationToken::new()).await
    }

    /// The script must end with 0 and print exactly this.
    async fn check(&self, script: &str, expect: &str) {
        let outcome = self.run(script).await;
        assert_eq!(
            (outcome.exit, outcome.output.as_str()),
            (Exit::Code(0), expect),
            "{script}"
        );
    }

    /// The script must fail.
    async fn denied(&self, script: &str) {
        let outcome = self.run(script).await;
        assert!(matches!(outcome.exit, Exit::Code(1..)), "{script}: {outcome:?}");
    }
}

/// Runs a system call by number in perl and prints whether it worked, or its error's name.
fn system_call(number: i64, arguments: &str) -> String {
    format!(
        "perl -MErrno -e '$r = syscall({number}, {arguments}); \
         print $r >= 0 ? \"worked\" : (grep {{ $!{{$_}} }} keys %!)[0]'"
    )
}

#[tokio::test]
async fn the_checkout_the_home_and_temporary_folders_are_writable_and_nothing_else() {
    let place = Place::new().await;
    place
        .check(
            "pwd; echo 1 > file; echo 2 > $HOME/file; echo 3 > /tmp/file; echo 4 > /dev/shm/file; cat file",
            "/factory/checkout\n1\n",
        )
        .await;
    assert_eq!(
        std::fs::read_to_string(place.outside().join("checkout/file")).unwrap(),
        "1\n"
    );
    assert_eq!(
        std::fs::read_to_string(place.outside().join("home/file")).unwrap(),
        "2\n"
    );
    for path in [
        "/file",
        "/usr/file",
        "/etc/file",
        "/dev/file",
        "/factory/file",
        "/proc/file",
    ] {
        place.denied(&format!("echo > {path}")).await;
    }
}

#[tokio::test]
async fn what_lies_outside_can_neither_be_read_nor_written() {
    let place = Place::new().await;
    place
        .check("head -c 5 /etc/passwd; test -e /usr/bin/env", "facto")
        .await;
    let outside = place.outside().display().to_string();
    for path in [
        outside.as_str(),
        "/etc/shadow",
        "/root",
        "/home",
        "/var",
        "/run",
        "/sys",
        "/etc/ssl/private",
        "/proc/1/root/root",
        "/proc/self/root/root",
        "/factory/checkout/../../root",
    ] {
        place.denied(&format!("ls {path}")).await;
    }
    std::os::unix::fs::symlink(
        place.outside().join("secret"),
        place.outside().join("checkout/link"),
    )
    .unwrap();
    place.denied("cat link").await;
    place.denied("echo overwritten > link").await;
    assert_eq!(
        std::fs::read_to_string(place.outside().join("secret")).unwrap(),
        "canary"
    );
}

#[tokio::test]
async fn settings_of_the_kernel_cannot_be_written_even_where_the_factory_is_the_superuser() {
    let place = Place::new().await;
    place
        .check(
            "test -r /proc/sys/vm/swappiness && echo 0 > /proc/self/oom_score_adj",
            "",
        )
        .await;
    place.denied("test -w /proc/sys/kernel/core_pattern").await;
    // Its own value, so that nothing changes should it work.
    place
        .denied("cat /proc/sys/vm/swappiness > /proc/sys/vm/swappiness")
        .await;
    place
        .check(
            "grep Cap /proc/self/status | grep -v 0000000000000000 || true",
            "",
        )
        .await;
}

#[tokio::test]
async fn the_environment_is_made_anew() {
    let place = Place::new().await;
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    place
        .check(
            "env | grep -v ^PWD= | sort",
            "CARGO_HOME=/factory/home/.cargo\nCI=true\nHOME=/factory/home\nLANG=C.UTF-8\n\
             PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:\
             /factory/home/.cargo/bin:/factory/home/.local/bin\n\
             SHELL=/bin/sh\nTERM=dumb\nTMPDIR=/tmp\nUSER=factory\n",
        )
        .await;
}

#[tokio::test]
async fn only_the_standard_descriptors_are_open() {
    let place = Place::new().await;
    // Opened as careless code does: children inherit it.
    let secret = place.outside().join("secret");
    let careless = rustix::fs::open(secret, rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap();
    // One inherited by accident leads to /dev/null.
    place
        .check(
            "for fd in $(ls /proc/self/fd); do [ $fd -gt 2 ] && readlink /proc/self/fd/$fd; done | grep -v ^/dev/null; \
             cat; readlink /proc/self/fd/0",
            "/dev/null\n",
        )
        .await;
    place
        .check(
            &format!("readlink /proc/self/fd/{}", careless.as_raw_fd()),
            "/dev/null\n",
        )
        .await;
}

#[tokio::test]
async fn there_is_no_network_but_a_loopback_of_its_own() {
    let place = Place::new().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    place
        .check(
            "ls /sys/class/net 2>/dev/null; tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '",
            "lo\n",
        )
        .await;
    let connect = |address: &str, port: u16| {
        format!(
            "perl -MIO::Socket::INET -e 'exit(IO::Socket::INET->new(PeerAddr => \"{address}\", PeerPort => {port}, \
             Timeout => 5) ? 0 : 1)'"
        )
    };
    place.denied(&connect("127.0.0.1", port)).await;
    place.denied(&connect("192.0.2.1", 80)).await;
    place
        .check(
            "perl -MIO::Socket::INET -MIO::Socket::UNIX -e '\
             $s = IO::Socket::INET->new(LocalAddr => \"127.0.0.1\", Listen => 1) or die; \
             IO::Socket::INET->new(PeerAddr => \"localhost\", PeerPort => $s->sockport) or die; \
             $u = IO::Socket::UNIX->new(Local => \"socket\", Listen => 1) or die; \
             IO::Socket::UNIX->new(Peer => \"socket\") or die; print \"both\"'",
            "both",
        )
        .await;
}

#[tokio::test]
async fn dangerous_system_calls_are_refused() {
    let place = Place::new().await;
    place.check(&system_call(libc::SYS_getpid, "0"), "worked").await;
    for (number, arguments, error) in [
        (libc::SYS_unshare, "0x10000000", "EPERM"),
        (libc::SYS_ptrace, "0, 0, 0, 0", "EPERM"),
        (libc::SYS_keyctl, "0, -3, 0", "EPERM"),
        (libc::SYS_io_uring_setup, "1, 0", "EPERM"),
        (libc::SYS_userfaultfd, "1", "EPERM"),
        (libc::SYS_bpf, "0, 0, 0", "EPERM"),
        (libc::SYS_perf_event_open, "0, 0, 0, 0, 0", "EPERM"),
        (libc::SYS_mount, "0, 0, 0, 0, 0", "EPERM"),
        (libc::SYS_setns, "0, 0", "EPERM"),
        (libc::SYS_clone, "0x10000011, 0, 0, 0, 0", "EPERM"),
        (libc::SYS_clone3, "0, 0", "ENOSYS"),
        (libc::SYS_personality, "0x0400000", "EPERM"),
        (libc::SYS_ioctl, "0, 0x5412, 0", "EPERM"),
        (libc::SYS_socket, "40, 1, 0", "EAFNOSUPPORT"),
        (libc::SYS_socket, "17, 3, 0", "EAFNOSUPPORT"),
        (libc::SYS_socket, "16, 3, 9", "EAFNOSUPPORT"),
    ] {
        place.check(&system_call(number, arguments), error).await;
    }
    for (number, arguments) in [
        (libc::SYS_socket, "16, 3, 0"),
        (libc::SYS_socket, "10, 1, 0"),
        (libc::SYS_personality, "0xffffffff"),
    ] {
        place.check(&system_call(number, arguments), "worked").await;
    }
    if cfg!(target_arch = "x86_64") {
        place.check(&system_call(0x4000_0000 + 39, "0"), "ENOSYS").await;
    }
}

#[tokio::test]
async fn there_is_no_terminal() {
    let place = Place::new().await;
    place.denied("exec 3</dev/tty").await;
    place.denied("test -t 0 || test -t 1").await;
}

#[tokio::test]
async fn other_processes_cannot_be_seen() {
    let place = Place::new().await;
    let outcome = place.run("ls /proc | grep -c '^[0-9]'").await;
    assert!(outcome.output.trim().parse::<u32>().unwrap() < 10, "{outcome:?}");
    place.denied(&format!("kill -0 {}", std::process::id())).await;
}

#[tokio::test]
async fn exits_are_told_apart() {
    let place = Place::new().await;
    for (script, exit) in [
        ("true", Exit::Code(0)),
        ("exit 7", Exit::Code(7)),
        ("exit 129", Exit::Code(129)),
        ("no-such-program", Exit::Code(127)),
        ("kill -9 $$", Exit::Signal(9)),
        ("kill -TERM $$", Exit::Signal(15)),
        ("sh -c 'kill -SEGV $$'", Exit::Signal(11)),
    ] {
        assert_eq!(place.run(script).await.exit, exit, "{script}");
    }
}

#[tokio::test]
async fn both_outputs_come_in_order() {
    let place = Place::new().await;
    place
        .check(
            "echo 1; echo 2 >&2; echo 3; printf '\\377' >&2",
            "1\n2\n3\n\u{fffd}",
        )
        .await;
}

#[tokio::test]
async fn a_gigabyte_of_output_is_bounded() {
    let place = Place::new().await;
    let mut spec = place.spec("head -c 1073741824 /dev/zero | tr '\\0' x; echo; echo end");
    spec.limits.output_ends = 8;
    let outcome = place.run_spec(&spec).await;
    assert_eq!(
        (outcome.exit, outcome.output.as_str(), outcome.output_bytes),
        (
            Exit::Code(0),
            "xxxxxxxx\n[... 1073741813 bytes left out ...]\nxxx\nend\n",
            (1 << 30) + 5
        )
    );
}

#[tokio::test]
async fn time_is_limited() {
    let place = Place::new().await;
    let mut spec = place.spec("trap '' TERM INT HUP; echo begun; sleep 1000");
    spec.limits.wall = Duration::from_millis(500);
    let outcome = place.run_spec(&spec).await;
    assert_eq!(
        (outcome.exit, outcome.output.as_str()),
        (Exit::TimedOut, "begun\n")
    );
}

#[tokio::test]
async fn file_sizes_are_limited() {
    let place = Place::new().await;
    let mut spec = place.spec("head -c 8192 /dev/zero > large");
    spec.limits.file_size = 4096;
    assert_ne!(place.run_spec(&spec).await.exit, Exit::Code(0));
    assert_eq!(
        place.outside().join("checkout/large").metadata().unwrap().len(),
        4096
    );
    place.check("head -c 8192 /dev/zero > large", "").await;
}

/// Twenty processes that leave their session and their parent, each with the script's outputs and its own file to
/// write to again and again.
const DAEMONS: &str = "for i in $(seq 20); do (setsid sh -c 'trap \"\" TERM HUP; \
                       while :; do echo . >> daemon; sleep 0.01; done' &); done; \
                       while ! test -s daemon; do sleep 0.01; done; ";

/// Asserts that nobody writes to the file any more.
async fn assert_daemons_are_gone(place: &Place) {
    let file = place.outside().join("checkout/daemon");
    let size = file.metadata().unwrap().len();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(file.metadata().unwrap().len(), size);
}

#[tokio::test]
async fn stopping_ends_everything_that_was_started() {
    let place = Place::new().await;
    let stop = CancellationToken::new();
    let running = place
        .sandbox
        .start(&place.spec(&format!("{DAEMONS} sleep 1000")), None)
        .await
        .unwrap();
    let waiting = running.wait(&stop);
    tokio::pin!(waiting);
    while !place.outside().join("checkout/daemon").exists() {
        tokio::select! {
            outcome = &mut waiting => panic!("{outcome:?}"),
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
    }
    stop.cancel();
    assert_eq!(waiting.await.exit, Exit::Stopped);
    assert_daemons_are_gone(&place).await;
}

#[tokio::test]
async fn background_processes_end_with_their_command() {
    let place = Place::new().await;
    let outcome = place.run(&format!("{DAEMONS} exit 3")).await;
    assert_eq!(outcome.exit, Exit::Code(3));
    assert_daemons_are_gone(&place).await;
}

#[tokio::test]
async fn a_dropped_command_ends_and_gives_its_lock_back() {
    let place = Place::new().await;
    let path = place.outside().join("lock");
    let lock = RunLock::acquire(&path, Duration::from_secs(1)).await.unwrap();
    let running = place
        .sandbox
        .start(&place.spec("sleep 1000"), Some(lock))
        .await
        .unwrap();
    assert!(matches!(
        RunLock::acquire(&path, Duration::from_millis(50)).await,
        Err(SandboxError::Failed {
            action: "lock the checkout",
            ..
        })
    ));
    drop(running);
    let lock = RunLock::acquire(&path, Duration::from_mins(1)).await.unwrap();
    let running = place
        .sandbox
        .start(&place.spec("echo next"), Some(lock))
        .await
        .unwrap();
    assert_eq!(running.wait(&CancellationToken::new()).await.output, "next\n");
}

/// Not a test of its own: the program that the next test kills.
#[tokio::test]
#[ignore = "run by `nothing_survives_the_factory` as a process of its own"]
async fn run_until_killed() {
    let folder = std::env::var("SANDBOX_TEST_FOLDER").unwrap();
    let folder = Path::new(&folder);
    let sandbox = Sandbox::probe(Vec::new()).await;
    let lock = RunLock::acquire(&folder.join("lock"), Duration::from_secs(1))
        .await
        .unwrap();
    let spec = CommandSpec {
        script: format!("{DAEMONS} sleep 1000"),
        checkout: folder.join("checkout"),
        home: folder.join("home"),
        network: Network::Off,
        limits: Limits::default(),
    };
    let running = sandbox.start(&spec, Some(lock)).await.unwrap();
    running.wait(&CancellationToken::new()).await;
}

#[tokio::test]
async fn nothing_survives_the_factory() {
    let place = Place::new().await;
    let mut factory = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "run_until_killed", "--ignored"])
        .env("SANDBOX_TEST_FOLDER", place.outside())
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    while !place.outside().join("checkout/daemon").exists() {
        assert_eq!(factory.try_wait().unwrap(), None);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    factory.kill().await.unwrap();
    let lock = RunLock::acquire(&place.outside().join("lock"), Duration::from_mins(1))
        .await
        .unwrap();
    let running = place
        .sandbox
        .start(&place.spec("true"), Some(lock))
        .await
        .unwrap();
    assert_eq!(running.wait(&CancellationToken::new()).await.exit, Exit::Code(0));
    assert_daemons_are_gone(&place).await;
}

#[tokio::test]
async fn a_sandbox_that_cannot_be_set_up_is_an_error_and_no_exit_code() {
    let place = Place::new().await;
    let mut spec = place.spec("true");
    spec.home = place.outside().join("missing");
    let error = place.sandbox.start(&spec, None).await.unwrap_err();
    assert!(
        matches!(
            error,
            SandboxError::Failed {
                action: "find the private home",
                ..
            }
        ),
        "{error}"
    );
    let refusing = Sandbox::unavailable("nothing here".to_owned());
    let error = refusing.start(&place.spec("true"), None).await.unwrap_err();
    assert_eq!(error.to_string(), "commands are refused: nothing here");
}
