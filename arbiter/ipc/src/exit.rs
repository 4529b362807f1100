//! The exit statuses of the program and of its processes, gunicorn's where gunicorn has one.
//!
//! Read by the arbiter, which alone turns a child's status into its own.

/// Why a process ended, as its exit status says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// It was told to stop and did.
    Stopped = 0,
    /// The settings or the system would not have it: an address that can't be bound, an interpreter that can't be found.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The application's module can't be imported (gunicorn's `WORKER_BOOT_ERROR`).
    AppImport = 3,
    /// The module has no such callable (gunicorn's `APP_LOAD_ERROR`).
    AppMissing = 4,
}

impl ExitCode {
    /// The status as the kernel takes it.
    #[must_use]
    pub fn status(self) -> u8 {
        self as u8
    }

    /// The reason that a status stands for; any other is taken for [`ExitCode::Failed`].
    #[must_use]
    pub fn of_status(status: u8) -> Self {
        [Self::Stopped, Self::Usage, Self::AppImport, Self::AppMissing]
            .into_iter()
            .find(|code| code.status() == status)
            .unwrap_or(Self::Failed)
    }
}
