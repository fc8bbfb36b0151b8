//! The volumes of a pod as directories.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{KeyToPath, Pod, Volume, VolumeProjection};
use kube::ResourceExt;

use super::environment::field_of;
use super::rewrite::Rewrite;
use super::sources::{Content, Keys, Kind, Sources, Trouble};

/// Kubernetes' default mode of the files of ConfigMaps and Secrets.
const FILE_MODE: i32 = 0o644;

/// A file of a volume: its content and its mode.
type Files = BTreeMap<String, (Content, u32)>;

/// Where the volumes of the pods of one runner are.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pub directory: PathBuf,
}

impl Home {
    /// The directory of one pod, removed with it.
    pub(super) fn pod(&self, pod: &Pod) -> PathBuf {
        self.directory.join("pods").join(pod.uid().unwrap_or_default())
    }

    /// The directory of a claim, which outlives pods.
    pub(super) fn claim(&self, namespace: &str, name: &str, uid: &str) -> PathBuf {
        let claims = self.directory.join("claims").join(namespace);
        claims.join(format!("{name}-{uid}"))
    }
}

/// The volumes of one pod.
pub(super) struct Volumes<'a> {
    pub pod: &'a Pod,
    pub address: Ipv4Addr,
    pub home: &'a Home,
    pub sources: &'a Sources,
}

impl Volumes<'_> {
    /// The directory of each volume. Directories of claims and empty directories are made.
    pub(super) async fn directories(&self) -> Result<BTreeMap<String, PathBuf>, Trouble> {
        let mut directories = BTreeMap::new();
        for volume in self.all() {
            let directory = match &volume.persistent_volume_claim {
                Some(claim) => self.claim(&claim.claim_name).await?,
                None => self.home.pod(self.pod).join("volumes").join(&volume.name),
            };
            fs::create_dir_all(&directory)?;
            directories.insert(volume.name.clone(), directory);
        }
        Ok(directories)
    }

    /// Writes the files of ConfigMaps and Secrets that are not as they should be.
    pub(super) async fn fill(
        &self,
        directories: &BTreeMap<String, PathBuf>,
        rewrite: &Rewrite,
    ) -> Result<(), Trouble> {
        for volume in self.all() {
            let Some(directory) = directories.get(&volume.name) else {
                continue;
            };
            if let Some(files) = self.files(volume).await? {
                write_all(directory, &files, rewrite)?;
            }
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &Volume> {
        let spec = self.pod.spec.as_ref();
        spec.and_then(|spec| spec.volumes.as_ref()).into_iter().flatten()
    }

    async fn claim(&self, name: &str) -> Result<PathBuf, Trouble> {
        let claim = self.sources.claim(name).await?;
        let uid = claim.uid().unwrap_or_default();
        Ok(self
            .home
            .claim(&claim.namespace().unwrap_or_default(), name, &uid))
    }

    /// The files of a volume; `None` for a volume that the process writes to.
    async fn files(&self, volume: &Volume) -> Result<Option<Files>, Trouble> {
        let mut files = Files::new();
        if let Some(config) = &volume.config_map {
            let mode = config.default_mode.unwrap_or(FILE_MODE);
            let chosen = Chosen::new(
                Kind::ConfigMap,
                &config.name,
                config.items.as_deref(),
                config.optional,
            );
            self.add(&mut files, &chosen, mode).await?;
        } else if let Some(secret) = &volume.secret {
            let mode = secret.default_mode.unwrap_or(FILE_MODE);
            let name = secret.secret_name.as_deref().unwrap_or_default();
            let chosen = Chosen::new(Kind::Secret, name, secret.items.as_deref(), secret.optional);
            self.add(&mut files, &chosen, mode).await?;
        } else if let Some(projected) = &volume.projected {
            let mode = projected.default_mode.unwrap_or(FILE_MODE);
            for source in projected.sources.iter().flatten() {
                self.project(&mut files, source, mode).await?;
            }
        } else if volume.empty_dir.is_some() || volume.persistent_volume_claim.is_some() {
            return Ok(None);
        } else {
            return Err(Trouble::Unsupported(format!(
                "the type of the volume {}",
                volume.name
            )));
        }
        Ok(Some(files))
    }

    /// A token for the Kubernetes API is left out: nothing that runs here needs one.
    async fn project(&self, files: &mut Files, source: &VolumeProjection, mode: i32) -> Result<(), Trouble> {
        if let Some(chosen) = Chosen::of(source) {
            return self.add(files, &chosen, mode).await;
        }
        let fields = source
            .downward_api
            .iter()
            .flat_map(|api| api.items.iter().flatten());
        for item in fields {
            let field = item
                .field_ref
                .as_ref()
                .ok_or_else(|| Trouble::Unsupported(format!("the source of the file {}", item.path)))?;
            let value = field_of(&field.field_path, self.pod, self.address)?;
            let file = (
                Content::Bytes(value.into_bytes()),
                mode_bits(item.mode.unwrap_or(mode)),
            );
            files.insert(item.path.clone(), file);
        }
        Ok(())
    }

    async fn add(&self, files: &mut Files, chosen: &Chosen<'_>, mode: i32) -> Result<(), Trouble> {
        let keys = self
            .sources
            .keys(chosen.kind, chosen.name, chosen.optional)
            .await?;
        let Some(items) = chosen.items else {
            files.extend(
                keys.into_iter()
                    .map(|(key, content)| (key, (content, mode_bits(mode)))),
            );
            return Ok(());
        };
        for item in items {
            if let Some(content) = self.item(&keys, chosen, item)? {
                let mode = mode_bits(item.mode.unwrap_or(mode));
                files.insert(item.path.clone(), (content, mode));
            }
        }
        Ok(())
    }

    fn item(&self, keys: &Keys, chosen: &Chosen<'_>, item: &KeyToPath) -> Result<Option<Content>, Trouble> {
        match keys.get(&item.key) {
            None if !chosen.optional => Err(self.sources.no_key(chosen.kind, chosen.name, &item.key)),
            found => Ok(found.cloned()),
        }
    }
}

/// What of which object is in a volume.
struct Chosen<'a> {
    kind: Kind,
    name: &'a str,
    items: Option<&'a [KeyToPath]>,
    optional: bool,
}

impl<'a> Chosen<'a> {
    fn new(kind: Kind, name: &'a str, items: Option<&'a [KeyToPath]>, optional: Option<bool>) -> Self {
        Self {
            kind,
            name,
            items,
            optional: optional == Some(true),
        }
    }

    fn of(source: &'a VolumeProjection) -> Option<Self> {
        let config = source.config_map.as_ref();
        let secret = source.secret.as_ref();
        config
            .map(|of| Self::new(Kind::ConfigMap, &of.name, of.items.as_deref(), of.optional))
            .or_else(|| secret.map(|of| Self::new(Kind::Secret, &of.name, of.items.as_deref(), of.optional)))
    }
}

fn mode_bits(mode: i32) -> u32 {
    u32::try_from(mode).unwrap_or(0o644)
}

/// Writes what differs and removes what is no longer there.
fn write_all(directory: &Path, files: &Files, rewrite: &Rewrite) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_wanted = files.keys().any(|path| path.split('/').next() == Some(&name));
        if !is_wanted && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    for (path, (content, mode)) in files {
        let bytes = match content {
            Content::Text(text) => rewrite.text(text).into_bytes(),
            Content::Bytes(bytes) => bytes.clone(),
        };
        write_file(&directory.join(path), &bytes, *mode)?;
    }
    Ok(())
}

/// Replaces a file in one step, if it differs: a server that watches its certificate never reads half of it.
fn write_file(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    if fs::read(path).is_ok_and(|known| known == bytes) {
        return Ok(());
    }
    let directory = path.parent().unwrap_or(path);
    fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(bytes)?;
    fs::set_permissions(file.path(), fs::Permissions::from_mode(mode))?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_follow_their_object_and_only_texts_are_rewritten() {
        let directory = tempfile::tempdir().unwrap();
        let rewrite = Rewrite::new([("/data".to_owned(), "/host".into())], Ipv4Addr::LOCALHOST);
        let text = (Content::Text("/data".to_owned()), 0o600);
        let bytes = (Content::Bytes(b"/data".to_vec()), 0o400);
        let both = Files::from([("a".to_owned(), text), ("sub/b".to_owned(), bytes.clone())]);
        write_all(directory.path(), &both, &rewrite).unwrap();
        assert_eq!(fs::read_to_string(directory.path().join("a")).unwrap(), "/host");
        let binary = directory.path().join("sub/b");
        assert_eq!(fs::read_to_string(&binary).unwrap(), "/data");
        assert_eq!(fs::metadata(&binary).unwrap().permissions().mode() & 0o777, 0o400);

        let fewer = Files::from([("sub/b".to_owned(), bytes)]);
        write_all(directory.path(), &fewer, &rewrite).unwrap();
        assert!(!directory.path().join("a").exists());
        assert!(binary.exists());
    }
}
