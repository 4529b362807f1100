//! What the stage does with a server beside this one: a part of `perform`.

use tapster_ipc::succession::Staff;

use super::{Action, Event, Stage};
use crate::pidfile::Pidfile;
use crate::upgrade::Succession;

impl Stage {
    /// Carries out one of the actions that are about another server; hands back any other.
    pub(super) fn perform_beside(&mut self, action: &Action, succession: &mut Succession) -> Option<Event> {
        match action {
            Action::Upgrade { staff } => return Some(self.upgrade(*staff, succession)),
            Action::Disinherit => succession.disinherit(),
            Action::ReportUp => {
                succession.report_up(self.pidfile.as_ref().map(Pidfile::final_path));
            }
            Action::BecomeMain => self.service.become_main(),
            Action::TakeOver { predecessor } => self.take_over(*predecessor, succession),
            _ => {}
        }
        None
    }

    fn upgrade(&self, staff: Staff, succession: &mut Succession) -> Event {
        match succession.launch(&self.program, &self.open(), staff, self.original.daemon) {
            Ok(pid) => Event::Launched { pid },
            Err(reason) => Event::LaunchFailed { reason },
        }
    }

    fn take_over(&mut self, predecessor: i32, succession: &mut Succession) {
        succession.take_over();
        self.service.become_main();
        if let Some(Err(reason)) = self.pidfile.as_mut().map(|pidfile| pidfile.succeed(predecessor)) {
            log::error!("The pid file of the server before can't be taken over: {reason}");
        }
    }

    /// Leaves the pid file to the successor, if that takes it over.
    pub(crate) fn leave_pid_file(&mut self, succession: &Succession) {
        if let Some(pidfile) = self.pidfile.as_mut().filter(|pidfile| succession.claims(pidfile.final_path())) {
            pidfile.leave();
        }
    }
}
