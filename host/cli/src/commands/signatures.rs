//! `trifold key` and `trifold sign`.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use trifold_registry::PrivateKey;

use crate::args::{KeyCommand, Sign};
use crate::exit::{Exit, Failure, OrExit, Outcome};
use crate::output;
use crate::random;
use crate::world::{World, parse_version, read_file, registry_failure};

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct KeyReport {
    file: PathBuf,
    /// What the key is called where signatures are listed.
    key: String,
    public_key: String,
}

/// Makes a key, or shows the public one.
pub fn key(world: &World, command: KeyCommand) -> Outcome {
    let (file, key) = match command {
        KeyCommand::New { file } => {
            let key = PrivateKey::of_seed(random::secret()?).or_exit(Exit::Internal)?;
            write_secret(&file, &key.to_file()).map_err(|error| not_made(&file, &error))?;
            (file, key)
        }
        KeyCommand::Show { file } => {
            let key = read_key(&file)?;
            (file, key)
        }
    };
    let public = key.public();
    let report = KeyReport { file, key: public.id().to_string(), public_key: public.to_string() };
    output::print(world.format, &report, |report| report.public_key.clone())
}

/// Writes a file that is not there yet and that its owner alone can read.
fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn not_made(file: &Path, error: &io::Error) -> Failure {
    let name = file.display();
    match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::new(Exit::Usage, format!("{name} exists, and may be a key that signs: name another file"))
        }
        _ => Failure::new(Exit::Io, format!("cannot write the key {name}: {error}")),
    }
}

fn read_key(file: &Path) -> Outcome<PrivateKey> {
    let text = read_file(file)?;
    let key = String::from_utf8_lossy(&text).parse();
    key.map_err(|error| Failure::new(Exit::Data, format!("cannot sign with {}: {error}", file.display())))
}

/// The key that signs, if the command line, the environment or the file names one.
pub(super) fn signing_key(world: &World, named: Option<&PathBuf>) -> Outcome<Option<PrivateKey>> {
    let file = named.unwrap_or(&world.config.signatures.key);
    if file.as_os_str().is_empty() { Ok(None) } else { read_key(file).map(Some) }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct SignReport {
    view: String,
    version: u64,
    digest: String,
    key: String,
    /// False when the key had signed it before.
    new: bool,
}

/// Signs a version of the registry.
pub async fn sign(world: &World, args: Sign) -> Outcome {
    let (view, Some(version)) = parse_version(&args.version)? else {
        let message = format!("`{0}` names no version: write VIEW@N, as in `{0}@2`", args.version);
        return Err(Failure::new(Exit::Usage, message));
    };
    let Some(key) = signing_key(world, args.key.as_ref())? else {
        let message = "no key is named: give `--key FILE`, which `trifold key new FILE` makes";
        return Err(Failure::new(Exit::Usage, message));
    };
    let registry = world.registry(false)?;
    let digest = registry.version(&view, version).await.map_err(registry_failure)?.digest;
    // What is gone or damaged is not vouched for.
    registry.component(&digest).await.map_err(registry_failure)?;
    let new = registry.sign(&digest, &key.sign(&digest)).await.map_err(registry_failure)?;
    let key = key.public().id().to_string();
    let report = SignReport { view: view.to_string(), version, digest: digest.to_string(), key, new };
    output::print(world.format, &report, |report| {
        let known = if report.new { "signed" } else { "already signed:" };
        let SignReport { view, version, digest, key, .. } = report;
        format!("{known} {view}@{version}, sha256 {digest}, by key {key}")
    })
}
