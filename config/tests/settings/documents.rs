//! The generated documents are those in the repository, and the example file is a settings file.

use std::path::PathBuf;

use tapster_config::{Settings, configuration_page, example_file};

fn in_repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[test]
fn generated_documents_are_current() {
    let documents = [("docs/configuration.md", configuration_page()), ("deploy/tapster.example.toml", example_file())];
    for (path, text) in documents {
        if std::env::var("TAPSTER_UPDATE_DOCS").as_deref() == Ok("1") {
            std::fs::write(in_repository(path), &text).unwrap();
        }
        let found = std::fs::read_to_string(in_repository(path)).unwrap_or_default();
        assert!(found == text, "{path} is out of date: TAPSTER_UPDATE_DOCS=1 cargo test -p tapster-config rewrites it");
    }
}

#[test]
fn the_example_file_is_good_when_uncommented() {
    let is_setting = |line: &&str| line.starts_with('#') && !line.starts_with("# ") && line.contains(" = ");
    let text: String =
        example_file().lines().filter(is_setting).map(|line| format!("{}\n", line.trim_start_matches('#'))).collect();
    let settings = Settings::from_toml(&text).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((settings.workers, &settings.bind), (Settings::default().workers, &Settings::default().bind));
    let written: toml::Table = Settings::default().to_toml().parse().unwrap();
    for key in written.keys() {
        assert!(text.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key} is missing");
    }
}
