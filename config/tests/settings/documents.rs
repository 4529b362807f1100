//! The generated documents are those in the repository, and the examples of settings files in them and in others are such.

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
fn what_documents_show_as_a_settings_file_is_one() {
    for (path, examples) in [("README.md", 1), ("docs/configuration.md", 1), ("deploy/README.md", 2)] {
        let text = std::fs::read_to_string(in_repository(path)).unwrap();
        let is_settings =
            |text: &&String| text.lines().find(|line| !line.starts_with('#')).is_some_and(|line| line.contains(" = "));
        let found: Vec<_> = code(&text).into_iter().filter(|text| is_settings(&text)).collect();
        assert_eq!(found.len(), examples, "{path} has {found:?}");
        for example in found {
            Settings::from_toml(&example).unwrap_or_else(|errors| panic!("{path}: {errors}\n{example}"));
        }
    }
}

/// The blocks of code in a page: between fences, or indented.
fn code(page: &str) -> Vec<String> {
    let (mut blocks, mut block, mut fenced) = (Vec::new(), String::new(), false);
    for line in page.lines() {
        let is_fence = line.starts_with("```");
        let indented = line.strip_prefix("    ").or_else(|| (line.is_empty() && !block.is_empty()).then_some(line));
        match if fenced { Some(line) } else { indented } {
            Some(code) if !is_fence => block = block + code + "\n",
            _ => blocks.extend((!block.is_empty()).then(|| std::mem::take(&mut block))),
        }
        fenced ^= is_fence;
    }
    blocks.extend((!block.is_empty()).then_some(block));
    blocks
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
