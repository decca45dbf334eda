//! The first command of the README, as it stands there.

use crate::support::daemon::Site;

#[test]
fn the_demo_goes_from_not_ready_over_ready_to_a_verified_revocation() {
    let site = Site::new("");
    let mut command = site.keydrain(&["demo"]);
    command.env("TMPDIR", site.path("said"));
    // It ends itself within 90 s, well or not.
    let ran = site.begin(command).end_at_last();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let line = |what: &str| {
        let found = ran.out.lines().position(|line| {
            line.split_once(" s  ").is_some_and(|(_, said)| said.split(' ').next() == Some(what))
        });
        found.unwrap_or_else(|| panic!("no line says `{what}`:\n{}", ran.out))
    };
    let story = [line("not_ready"), line("ready"), line("revoked"), line("verified")];
    assert!(story.is_sorted(), "{}", ran.out);
    // The recording has a straggler; who holds the revocation up is told before it is ready.
    let before: Vec<_> = ran.out.lines().take(line("ready")).collect();
    assert!(before.iter().any(|line| line.contains("billing-batch")), "{}", ran.out);
    let left: Vec<_> = std::fs::read_dir(site.path("said")).unwrap().collect();
    let left = left.into_iter().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with("keydrain-demo")));
}
