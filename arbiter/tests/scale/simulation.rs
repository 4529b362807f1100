//! Servers under load that comes and goes, driven by the policy: the number of workers follows, nobody waits for long, and
//! nothing swings.

use std::time::Duration;

use crate::RULES;
use crate::server::Server;

fn within(numbers: &[u32], least: u32, most: u32) -> bool {
    numbers.iter().all(|number| (least..=most).contains(number))
}

#[test]
fn under_a_steady_load_the_number_settles_and_stays() {
    #[rustfmt::skip]
    let table = [
        // threads a worker, load in threads; least and most workers once it has settled, and how often the number may change then
        (1, 0.3,  1, 2, 2),
        (1, 2.0,  3, 5, 1),
        (1, 4.0,  6, 8, 1),
        (4, 2.0,  1, 2, 1),
        (4, 10.0, 4, 5, 1),
    ];
    for row @ (threads, load, least, most, changes) in table {
        let mut server = Server::new(RULES);
        server.threads = threads;
        server.run(3600.0, |_| load);
        let settled = server.between(300.0, 3600.0);
        assert!(within(&settled, least, most) && settled.len() <= changes + 1, "{row:?}: {:?}", server.history);
    }
}

#[test]
fn a_ramp_is_followed_up_and_down_without_turning_back() {
    let mut server = Server::new(RULES);
    server.run(1200.0, |at| 0.2 + 4.0 * (1.0 - (at / 600.0 - 1.0).abs()));
    let top = server.history.iter().map(|(_, number)| *number).max().unwrap();
    assert!((6..=8).contains(&top), "{:?}", server.history);
    let up = server.between(0.0, 600.0);
    assert!(up.is_sorted(), "{up:?}");
    server.run(900.0, |_| 0.2);
    assert_eq!(server.planned, 1, "{:?}", server.history);
    let down = server.between(700.0, 2100.0);
    assert!(down.is_sorted_by(|one, next| one >= next), "{down:?}");
    assert!(server.longest_wait < 2.0, "{}", server.longest_wait);
}

#[test]
fn a_spike_is_met_within_seconds_and_its_workers_leave_one_by_one() {
    let mut server = Server::new(RULES);
    server.run(60.0, |_| 0.3);
    server.run(30.0, |_| 5.0);
    let (first, number) = server.history[1];
    assert!(first < 62.0 && number >= 3, "{:?}", server.history);
    assert!(server.between(0.0, 65.0).last().unwrap() >= &5, "{:?}", server.history);
    assert!(server.longest_wait < 4.0, "{}", server.longest_wait);
    server.run(900.0, |_| 0.3);
    assert_eq!(server.planned, 1, "{:?}", server.history);
}

#[test]
fn where_the_queue_is_not_known_a_spike_is_met_by_the_window() {
    let mut server = Server::new(RULES);
    server.sees_queue = false;
    server.run(60.0, |_| 0.3);
    server.run(60.0, |_| 4.0);
    assert!(server.history[1].0 < 70.0 && (6..=8).contains(&server.planned), "{:?}", server.history);
}

#[test]
fn a_load_that_comes_and_goes_does_not_make_the_workers_come_and_go() {
    #[rustfmt::skip]
    let table = [
        // seconds high, seconds low; changes in four hours at most
        (10.0, 10.0, 8),
        (30.0, 40.0, 8),
        (30.0, 90.0, 60),
        (60.0, 100.0, 60),
    ];
    for row @ (high, low, most) in table {
        let mut server = Server::new(RULES);
        server.run(14_400.0, |at| if at % (high + low) < high { 3.0 } else { 0.3 });
        assert!(server.history.len() <= most, "{row:?}: {} {:?}", server.history.len(), server.history);
    }
}

#[test]
fn noise_is_no_load() {
    let mut server = Server::new(RULES);
    // Up and down by two fifths, at two speeds.
    server.run(7200.0, |at| 2.0 + 0.5 * (at / 0.7).sin() + 0.3 * (at / 3.1).sin());
    let settled = server.between(300.0, 7200.0);
    assert!(within(&settled, 3, 5) && settled.len() <= 4, "{:?}", server.history);
}

#[test]
fn slow_boots_are_waited_for() {
    let mut server = Server::new(RULES);
    server.boot = 20.0;
    server.run(60.0, |_| 0.3);
    server.run(120.0, |_| 3.0);
    assert!(server.most_booting <= RULES.step as usize, "{}", server.most_booting);
    assert!(within(&server.between(100.0, 180.0), 5, 8), "{:?}", server.history);
    let times: Vec<f64> = server.history.iter().skip(1).map(|(at, _)| *at).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 20.0), "{times:?}");
}

#[test]
fn boots_that_fail_do_not_run_away_and_the_load_is_followed_once_they_work() {
    let mut server = Server::new(RULES);
    server.boots_work = false;
    server.run(1800.0, |_| 1.5);
    assert_eq!(server.history.len(), 2, "{:?}", server.history);
    assert!(server.planned <= RULES.min + RULES.step);
    server.boots_work = true;
    server.run(600.0, |_| 1.5);
    assert!(within(&server.between(2200.0, 2400.0), 3, 8), "{:?}", server.history);
}

#[test]
fn what_is_more_than_all_workers_can_do_gets_all_workers() {
    let mut server = Server::new(RULES);
    server.run(30.0, |_| 12.0);
    assert_eq!(server.planned, 8);
    server.run(300.0, |_| 12.0);
    assert_eq!(server.planned, 8, "{:?}", server.history);
}

#[test]
fn a_longer_window_is_slower_and_a_lower_target_has_more_workers() {
    let settled = |rules| {
        let mut server = Server::new(rules);
        server.sees_queue = false;
        server.run(600.0, |_| 2.0);
        (server.planned, server.history[1].0)
    };
    let (number, first) = settled(RULES);
    let (relaxed, later) = settled(tapster::scale::Rules { window: Duration::from_secs(60), ..RULES });
    assert!(later >= 60.0 && first < 20.0 && relaxed.abs_diff(number) <= 1, "{number} {first} {relaxed} {later}");
    assert!(settled(tapster::scale::Rules { target: 40, ..RULES }).0 > number);
}
