//! What helps while an application is being written, and has no place where it serves.
//!
//! One macro of items; `items/mod.rs` says how it is read, `settings.rs` calls it.

macro_rules! development {
    ($next:ident $($rest:tt)*) => { $next! { $($rest)* section "Development" {
        reload: bool = false; Switch;
        {
            brief: "Load the code anew whenever a file that the application has imported changes. For development only.",
            long: "As a HUP does, without the second that a new worker is otherwise watched for. The settings file is \
                   watched too. An application that can't be imported does not end the server: the error is in the log and \
                   answers every request, and the next change of a file is the next trial. There is no `warmup`. Not for \
                   production: everybody is shown the error, and each worker watches some hundred folders.",
        }
        reload_extra_files: Vec<PathBuf> = Vec::new(); PathList;
        {
            brief: "Other files, or folders with all that is in them, whose changes `reload` heeds.",
            long: "Templates, say, or translations. In folders, names that begin with a dot are passed over, and \
                   `__pycache__`. In the file a list, elsewhere separated by commas; the flag may be repeated.",
            alias: Some("reload-extra-file"),
            value: "PATH[,PATH]",
            example: Some(r#"["templates", "data/words.txt"]"#),
        }
    } } };
}
