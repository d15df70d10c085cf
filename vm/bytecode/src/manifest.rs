//! What a bundle says about itself: its package, what it needs of the host, and the assets it carries.

/// The manifest of a bundle. Paths of assets are in ascending order, so that equal bundles are equal files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    pub package: String,
    pub version: String,
    /// Names of the capabilities that the code needs, ascending.
    pub capabilities: Vec<String>,
    pub assets: Vec<Asset>,
}

/// A file that a bundle carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Its path in the package's folder, with `/`.
    pub path: String,
    /// A second name that a program may use.
    pub name: Option<String>,
    pub kind: AssetKind,
    pub codec: Codec,
    /// Bytes of the file.
    pub len: u64,
    /// Bytes in the bundle.
    pub stored: u64,
    /// BLAKE3 of the bytes in the bundle.
    pub hash: [u8; 32],
}

/// What an asset is. The numbers are part of the file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AssetKind {
    Data = 0,
    Model = 1,
    Tokenizer = 2,
}

impl AssetKind {
    pub const ALL: [AssetKind; 3] = [AssetKind::Data, AssetKind::Model, AssetKind::Tokenizer];

    pub fn name(self) -> &'static str {
        match self {
            AssetKind::Data => "data",
            AssetKind::Model => "model",
            AssetKind::Tokenizer => "tokenizer",
        }
    }
}

/// How an asset's bytes lie in the bundle. The numbers are part of the file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// As they are: used where they lie.
    Plain = 0,
    /// One Zstandard frame.
    Zstd = 1,
}

impl Codec {
    pub const ALL: [Codec; 2] = [Codec::Plain, Codec::Zstd];

    pub fn name(self) -> &'static str {
        match self {
            Codec::Plain => "plain",
            Codec::Zstd => "zstd",
        }
    }
}

/// The longest path or name of an asset, in bytes.
pub const MAX_ASSET_NAME: usize = 1024;
/// How many assets a bundle may carry.
pub const MAX_ASSETS: usize = 1 << 20;

/// What keeps `name` from naming an asset, as a phrase: such a name never leads out of a folder, on any system.
pub fn wrong_asset_name(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.len() > MAX_ASSET_NAME {
        return Some("it is empty or too long");
    }
    if name.chars().any(|c| c.is_control() || c == '\\' || c == ':') {
        return Some("it has a backslash, a colon or a control character");
    }
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Some("it is absolute, or a part of it is empty, `.` or `..`");
    }
    None
}

impl Manifest {
    /// What keeps it from being a manifest, as a sentence.
    pub(crate) fn problem(&self) -> Option<String> {
        if let Some(pair) = self.capabilities.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Some(format!("capability `{}` is out of order", pair[1]));
        }
        let mut names = std::collections::HashSet::new();
        for asset in &self.assets {
            for name in [Some(&asset.path), asset.name.as_ref()].into_iter().flatten() {
                if let Some(wrong) = wrong_asset_name(name) {
                    return Some(format!("the name {name:?} of an asset is refused: {wrong}"));
                }
                if !names.insert(name) {
                    return Some(format!("two assets are called `{name}`"));
                }
            }
            if asset.codec == Codec::Plain && asset.len != asset.stored {
                return Some(format!("asset `{}` has {} bytes, stored are {}", asset.path, asset.len, asset.stored));
            }
        }
        let paths = self.assets.windows(2).find(|pair| pair[0].path >= pair[1].path);
        paths.map(|pair| format!("asset `{}` is out of order", pair[1].path))
    }

    /// Where each asset begins in the asset data, and where the last ends; `None` when that is no number.
    pub fn layout(&self) -> Option<(Vec<u64>, u64)> {
        let mut end = 0u64;
        let mut starts = Vec::with_capacity(self.assets.len());
        for asset in &self.assets {
            let start = end.checked_next_multiple_of(crate::format::ALIGNMENT as u64)?;
            starts.push(start);
            end = start.checked_add(asset.stored)?;
        }
        Some((starts, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_a_folder_on_every_system() {
        for good in ["a", "models/a.pt", "ä b/c.json", "...", ".hidden"] {
            assert_eq!(wrong_asset_name(good), None, "{good}");
        }
        let long = "a".repeat(MAX_ASSET_NAME + 1);
        for bad in ["", "/a", "a/", "a//b", "..", "../a", "a/../b", "./a", "a\\b", "C:a", "a\0b", "a\nb", &long] {
            assert!(wrong_asset_name(bad).is_some(), "{bad:?}");
        }
    }
}
