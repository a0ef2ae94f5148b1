//! `bootstrap healthcheck` in a new process namespace, because it inspects PID 1.

use std::process::Command;

use platformer_tests::binaries;
use platformer_tests::run;
use platformer_tests::skip::skip;

/// Runs a shell script in new namespaces, as a child of PID 1, with a new /proc.
fn in_namespace(script: &str) -> run::Exit {
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args([
            "--pid",
            "--net",
            "--fork",
            "--mount-proc",
            "--map-root-user",
            "sh",
            "-c",
            script,
        ]);
        command
    };
    if !unshare("ip link set lo up")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        skip("process and network namespaces cannot be made (needs root, util-linux and iproute2)");
    }
    let preamble = format!(
        "B={}; P={}; ip link set lo up;",
        binaries::bootstrap().display(),
        binaries::probe().display()
    );
    run::spawn_command(&mut unshare(&format!("{preamble} {script}"))).wait()
}

#[test]
fn the_healthcheck_prints_whether_the_app_is_ready_and_why_not() {
    let script = "
        said=$(mktemp)
        $B healthcheck; echo none $?
        PORT=8080 HEALTHCHECK=process $B init -- $P stop-on 15 >$said & pid=$!
        until grep -q ready $said; do :; done
        $B healthcheck; echo process $?
        BOOTSTRAP_HEALTHCHECK=tcp $B healthcheck; echo tcp $?
        BOOTSTRAP_HEALTHCHECK='exec sh -c \"exit 3\"' $B healthcheck; echo exec $?
        BOOTSTRAP_HEALTHCHECK='exec true' $B healthcheck; echo exec $?
        BOOTSTRAP_HEALTHCHECK=nonsense $B healthcheck; echo nonsense $?
        kill $pid; wait $pid
        HEALTHCHECK=process $B init --drain=10m -- $P stop-on 15 >$said & pid=$!
        until grep -q ready $said; do :; done
        kill $pid
        while $B healthcheck 2>/dev/null; do :; done
        $B healthcheck; echo draining $?
        kill $pid; wait $pid; echo end $?
        rm $said";
    let ended = in_namespace(script);
    let expected = "none 1\nprocess 0\ntcp 1\nexec 1\nexec 0\nnonsense 1\ndraining 1\nend 0\n";
    assert_eq!(ended.stdout, expected, "{}", ended.stderr);
    for reason in [
        "has not started an app",
        "does not accept connections on port 8080",
        "sh ended with exit status: 3",
        "expected tcp, process, /path or exec COMMAND",
        "the app is stopping",
    ] {
        ended.says(reason);
    }
}

#[test]
fn an_app_that_has_exited_is_unhealthy_while_its_descendants_stop() {
    let script = "
        HEALTHCHECK=process $B init --grace=2s -- $P leave-behind & pid=$!
        until $B healthcheck 2>&1 | grep -q 'is stopping'; do :; done; echo seen
        wait $pid; echo end $?";
    let ended = in_namespace(script);
    assert!(
        ended.stdout.ends_with("seen\nend 7\n"),
        "{} {}",
        ended.stdout,
        ended.stderr
    );
}

#[test]
fn the_healthcheck_sends_http_requests() {
    let script = "
        PORT=8099 HEALTHCHECK=/status $B init -- $P serve & pid=$!
        until $B healthcheck 2>/dev/null; do :; done
        $B healthcheck; echo status $?
        BOOTSTRAP_HEALTHCHECK=/busy $B healthcheck; echo busy $?
        BOOTSTRAP_HEALTHCHECK=tcp $B healthcheck; echo tcp $?
        kill $pid; wait $pid; echo end $?";
    let ended = in_namespace(script);
    assert_eq!(
        ended.stdout, "ready\nstatus 0\nbusy 1\ntcp 0\nend 143\n",
        "{}",
        ended.stderr
    );
    ended.says("GET :8099/busy → 503");
}
