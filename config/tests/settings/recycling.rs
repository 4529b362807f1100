//! When workers are replaced: what can be asked for, and what can't stand together.

use std::time::Duration;

use tapster_config::MemoryMeasure;

use crate::world::World;

#[test]
fn workers_are_not_recycled_unless_it_is_asked_for() {
    let settings = World::new().settings();
    assert_eq!((settings.max_requests, settings.max_requests_jitter), (0, 0));
    assert_eq!((settings.max_memory, settings.max_memory_hard), (0, 0));
    assert_eq!((settings.memory_measure, settings.memory_interval), (MemoryMeasure::Pss, Duration::from_secs(5)));
}

#[test]
fn limits_of_memory_are_sizes_with_a_unit() {
    let world = World::new()
        .file("max_requests = 1000\nmax_memory = '512MiB'\nmemory_measure = 'uss'\nmemory_interval = 1")
        .variable("TAPSTER_MAX_REQUESTS_JITTER", "100")
        .args(&["--max-memory-hard", "1.5g", "a:b"]);
    let settings = world.settings();
    assert_eq!((settings.max_requests, settings.max_requests_jitter), (1000, 100));
    assert_eq!((settings.max_memory, settings.max_memory_hard), (512 << 20, 3 << 29));
    assert_eq!((settings.memory_measure, settings.memory_interval), (MemoryMeasure::Uss, Duration::from_secs(1)));
}

#[test]
fn a_limit_in_which_the_unit_is_forgotten_is_no_limit_of_bytes() {
    let complaint = World::new().file("max_memory = 512").complaint();
    let expected = "`max_memory` must be a size such as \"512MiB\" or \"1.5GiB\" of at least 16 MiB, or 0, not 512";
    assert!(complaint.contains(expected) && complaint.contains("write \"512MiB\" for megabytes"), "{complaint}");
    assert!(World::new().file("max_memory_hard = '-1'").complaint().contains("must be a size"));
    assert_eq!(World::new().file("max_memory = '16MiB'").settings().max_memory, 16 << 20);
}

#[test]
fn the_hard_limit_of_memory_is_not_below_the_soft_one() {
    let world = World::new().file("max_memory = '512MiB'\nmax_memory_hard = '256MiB'");
    let expected = "`max_memory_hard` must be at least `max_memory`, 512MiB, or 0, not 256MiB";
    assert!(world.complaint().contains(expected), "{}", world.complaint());
    assert_eq!(World::new().file("max_memory = '512MiB'\nmax_memory_hard = 0").settings().max_memory_hard, 0);
    assert_eq!(World::new().file("max_memory_hard = '64MiB'").settings().max_memory, 0);
}

#[test]
fn names_of_other_servers_lead_here() {
    let table =
        [("limit_max_requests", "max_requests"), ("reload_on_rss", "max_memory"), ("workers_max_rss", "max_memory")];
    for (foreign, ours) in table {
        let complaint = World::new().file(&format!("{foreign} = 5")).complaint();
        assert!(complaint.contains(&format!("`{ours}`")) || complaint.contains(ours), "{complaint}");
    }
}
