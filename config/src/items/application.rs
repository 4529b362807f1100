//! What is served, and with which Python: the application, its directory, its path, its environment.
//!
//! One macro of items; `items/mod.rs` says how it is read, `settings.rs` calls it.

macro_rules! application {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* section "Application" {
        wsgi_app: String = String::new(); Text;
        {
            brief: "The application: MODULE:CALLABLE, MODULE:FACTORY(), MODULE, or DIR/FILE.py:CALLABLE.",
            long: "Without a callable, `application` is looked for in the module, then `app`. Dotted callables \
                   (`module:site.app`) work. A path to a file is relative to `chdir`. On the command line it is the \
                   argument without a flag.",
            value: "APP",
            positional: true,
            example: Some(r#""package.module:application""#),
        }
        chdir: PathBuf = PathBuf::from("/"); Chdir;
        {
            brief: "The directory the application runs in.",
            long: "It is on Python's path, and the other relative paths of the settings start from it. Itself it \
                   starts from the directory that Tapster was started in. A symbolic link is followed anew by each \
                   reload.",
            value: "DIR",
            default_note: Some("where Tapster was started"),
            example: Some(r#""/srv/app""#),
        }
        pythonpath: Vec<PathBuf> = Vec::new(); PathList;
        {
            brief: "Directories to put in front of Python's path (sys.path).",
            long: "In the file a list, elsewhere separated by commas; the flag may be repeated.",
            value: "DIR[,DIR]",
            example: Some(r#"["lib", "/srv/shared"]"#),
        }
        env: Vec<(String, String)> = Vec::new(); Variables;
        {
            brief: "An environment variable for the application.",
            long: "In the file a table, `[env]`; in `TAPSTER_ENV` separated by commas (so a value that holds a comma \
                   goes into the file or a flag of its own); the flag may be repeated. Variables of several sources \
                   are put together; of one variable the strongest source counts. They are shown by \
                   `--print-config`.",
            short: Some('e'),
            value: "NAME=VALUE",
            example: Some(r#"{ DJANGO_SETTINGS_MODULE = "mysite.settings" }"#),
        }
        python: Option<PathBuf> = None; Interpreter;
        {
            brief: "The Python interpreter to run the application with (CPython 3.10 or newer).",
            long: "A path, or a name that is looked for on PATH. With the `python` of a virtual environment, the \
                   application sees that environment.",
            value: "PATH",
            default_note: Some("python beside tapster, else of $VIRTUAL_ENV, else python3 on PATH"),
            example: Some(r#""/srv/app/venv/bin/python""#),
        }
    } } };
}
