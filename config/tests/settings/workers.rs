//! How many workers: a number, a range that the load decides within, and what is wrong with either.

use std::time::Duration;

use crate::world::World;
use tapster_config::{Settings, Workers};

#[test]
fn a_range_is_read_from_every_source() {
    let range = |min, max| Workers { min, max };
    let file = |text: &str| World::new().file(text).settings().workers;
    assert_eq!(file("workers = { min = 2, max = 8 }"), range(2, 8));
    assert_eq!(file("workers = { max = '8', min = '2' }"), range(2, 8));
    assert_eq!(file("workers = '2-8'"), range(2, 8));
    assert_eq!(file("[workers]\nmin = 2\nmax = 8"), range(2, 8));
    assert_eq!(file("workers = { min = 3, max = 3 }"), Workers::fixed(3));
    assert_eq!(World::new().args(&["-w", "2-8", "a:b"]).settings().workers, range(2, 8));
    assert_eq!(World::new().variable("TAPSTER_WORKERS", " 2 - 1024 ").settings().workers, range(2, 1024));
    assert_eq!(World::new().variable("WEB_CONCURRENCY", "1-4").settings().workers, range(1, 4));
    assert_eq!(World::new().file("workers = '2-8'").args(&["-w", "5", "a:b"]).settings().workers, Workers::fixed(5));
}

#[test]
fn the_most_may_be_auto_and_is_never_below_the_least() {
    for text in ["workers = { min = 1000, max = 'auto' }", "workers = '1000-auto'"] {
        let workers = World::new().file(text).settings().workers;
        assert!(workers.min == 1000 && (1000..=1024).contains(&workers.max), "{workers}");
    }
    let auto = World::new().args(&["-w", "auto", "a:b"]).settings().workers;
    assert_eq!(World::new().args(&["-w", "1-auto", "a:b"]).settings().workers, Workers { min: 1, max: auto.max });
}

#[test]
fn a_range_is_printed_on_one_line_and_read_back() {
    let world = World::new().file("workers = { min = 2, max = 8 }");
    let settings = world.settings();
    let text = settings.to_file();
    assert!(text.contains("\nworkers = \"2-8\"\n"), "{text}");
    assert_eq!(world.file(&text).args(&[]).settings(), settings);
    assert_eq!(Settings::from_toml(&settings.to_toml()), Ok(settings));
}

#[test]
fn what_is_wrong_with_a_range_is_told_at_its_place() {
    let whole = "a whole number from 1 to 1024";
    let other = "a whole number from 1 to 1024, \"auto\", or a range such as \"2-8\" or { min = 2, max = 8 }";
    let order = "must have a `max` that is at least its `min`";
    let table = [
        ("{ min = 8, max = 2 }", format!("1:28: `workers` {order}, 8, not 2")),
        ("'8-2'", format!("1:11: `workers` {order}, 8, not 2")),
        ("{ min = 0, max = 2 }", format!("1:19: `workers` must have as its `min` {whole}, not 0")),
        ("{ min = 1, max = -2 }", format!("1:28: `workers` must have as its `max` {whole}, or \"auto\", not -2")),
        ("{ min = 'auto', max = 2 }", format!("1:19: `workers` must have as its `min` {whole}, not \"auto\"")),
        ("{ min = 1, max = 1025 }", format!("1:28: `workers` must have as its `max` {whole}, or \"auto\", not 1025")),
        ("{ min = 1, max = [2] }", format!("1:28: `workers` must have as its `max` {whole}, or \"auto\", not a list")),
        ("{ min = 1, most = 2 }", "1:22: `workers` must hold `min` and `max` alone, not \"most\"".to_owned()),
        ("{ min = 1 }", "1:11: `workers` must hold both `min` and `max`, or be a number".to_owned()),
        ("{}", "1:11: `workers` must hold both `min` and `max`, or be a number".to_owned()),
        ("'-2'", format!("1:11: `workers` must be {other}, not \"-2\"")),
        ("'0-2'", format!("1:11: `workers` must be {other}, not \"0-2\"")),
        ("'2-'", format!("1:11: `workers` must be {other}, not \"2-\"")),
        ("'2-3-4'", format!("1:11: `workers` must be {other}, not \"2-3-4\"")),
        ("'auto-2'", format!("1:11: `workers` must be {other}, not \"auto-2\"")),
    ];
    for (value, expected) in table {
        let complaint = World::new().file(&format!("workers = {value}")).complaint();
        assert_eq!(complaint.lines().next(), Some(format!("tapster.toml:{expected}").as_str()), "{value}");
    }
    let all = World::new().file("workers = { min = 0, max = 0, x = 1 }").complaint();
    assert_eq!(all.lines().filter(|line| line.starts_with("tapster.toml:")).count(), 3, "{all}");
    let order = "--workers must have a `max` that is at least its `min`, 8, not 2";
    assert_eq!(World::new().args(&["-w", "8-2", "a:b"]).complaint(), order);
}

#[test]
fn the_load_is_followed_as_the_scale_settings_say() {
    let settings = World::new().settings();
    assert_eq!((settings.scale_target, settings.scale_step), (70, 4));
    assert_eq!(settings.scale_window, Duration::from_secs(10));
    assert_eq!(settings.scale_cooldown, Duration::from_secs(60));
    assert_eq!(settings.scale_burst, Duration::from_secs(1));
    let settings =
        World::new().file("scale_target = 95\nscale_burst = 0").variable("TAPSTER_SCALE_STEP", "1").settings();
    assert_eq!((settings.scale_target, settings.scale_step, settings.scale_burst), (95, 1, Duration::ZERO));
    for wrong in ["scale_target = 9", "scale_target = 0.7", "scale_target = 96", "scale_window = 0", "scale_step = 0"] {
        assert!(World::new().file(wrong).complaint().starts_with("tapster.toml:1:"), "{wrong}");
    }
}

#[test]
fn what_uwsgi_calls_it_leads_here() {
    let table = [
        ("cheaper", "hint: write workers = { min = 2, max = 8 }, or \"2-8\": the number then follows the load"),
        ("cheaper-overload", "hint: here it is called `scale_window`"),
        ("cheaper_busyness_max", "hint: here it is called `scale_target`"),
        ("cheaper_step", "hint: here it is called `scale_step`"),
        ("cheaper_busyness_min", "hint: leave it out: `scale_target` and `scale_burst` say when"),
    ];
    for (key, expected) in table {
        let complaint = World::new().file(&format!("{key} = 1")).complaint();
        assert!(complaint.contains(expected), "{complaint}");
    }
}
