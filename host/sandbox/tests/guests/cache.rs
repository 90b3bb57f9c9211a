//! The compile cache: used when it is sound, recompiled when it is not, refused when others may write to it.

use std::fs;
use std::path::{Path, PathBuf};

use trifold_sandbox::{Budget, CacheError, Sandbox, SandboxConfig, SandboxError};
use trifold_wat_guest::{Act, unruly};

use crate::rig::{Fate, fates, rows};

fn open(directory: &Path) -> Result<Sandbox, SandboxError> {
    let cache_dir = Some(directory.to_owned());
    Sandbox::new(SandboxConfig { cache_dir, instances_max: 1, ..SandboxConfig::default() })
}

#[track_caller]
fn check_works(directory: &Path) {
    let transform = open(directory).unwrap().admit(&unruly("cached", |_| {}).build().unwrap()).unwrap();
    let applied = transform.apply(&rows(&transform, &[(Act::Value, 3)]), &mut Budget::unlimited());
    assert_eq!(fates(&applied), [Fate::Value(3)]);
}

#[track_caller]
fn only_entry(directory: &Path) -> PathBuf {
    let entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    entry.clone()
}

/// Makes the entry's file unlike any that is written now, so that a rewrite shows.
fn age(entry: &Path) -> std::time::SystemTime {
    let old = std::time::SystemTime::UNIX_EPOCH;
    fs::File::options().write(true).open(entry).unwrap().set_modified(old).unwrap();
    old
}

fn modified(entry: &Path) -> std::time::SystemTime {
    fs::metadata(entry).unwrap().modified().unwrap()
}

#[test]
fn a_second_sandbox_loads_what_the_first_compiled() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("made/by/trifold");
    check_works(&directory);
    let entry = only_entry(&directory);
    let old = age(&entry);
    check_works(&directory);
    assert_eq!(modified(&only_entry(&directory)), old, "the entry was compiled again");
}

#[test]
fn damaged_entries_are_compiled_again() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("cache");
    check_works(&directory);
    let entry = only_entry(&directory);
    let sound = fs::read(&entry).unwrap();
    let flipped = |at: usize| {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        bytes
    };
    let damaged = [
        Vec::new(),
        sound[..20].to_vec(),
        sound[..sound.len() - 1].to_vec(),
        [sound.as_slice(), b"!"].concat(),
        flipped(0),
        flipped(20),
        flipped(48),
        flipped(sound.len() / 2),
        flipped(sound.len() - 1),
    ];
    for bytes in damaged {
        fs::write(&entry, &bytes).unwrap();
        check_works(&directory);
        assert!(fs::read(&entry).unwrap() == sound, "{} bytes were left as they were", bytes.len());
    }
}

#[test]
fn an_entry_of_another_component_is_not_taken_for_this_one() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("cache");
    check_works(&directory);
    let sandbox = open(&directory).unwrap();
    let other = sandbox.admit(&unruly("another", |_| {}).build().unwrap()).unwrap();
    assert_eq!(other.view().name.as_str(), "another");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
}

#[cfg(unix)]
#[test]
fn a_directory_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("cache");
    check_works(&directory);
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o7777, 0o700);
    for mode in [0o777, 0o720, 0o702] {
        fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
        let error = open(&directory).map(drop).unwrap_err();
        assert!(matches!(error, SandboxError::Cache(CacheError::NotPrivate { .. })), "{error}");
        let text = error.to_string();
        assert!(text.contains("chmod 700") && text.contains(&format!("{mode:o}")), "{text}");
    }
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    check_works(&directory);
}

#[test]
fn a_file_in_place_of_the_directory_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("cache");
    fs::write(&file, "").unwrap();
    let error = open(&file).map(drop).unwrap_err().to_string();
    assert!(error.contains("compile cache") && error.contains("cache"), "{error}");
}
