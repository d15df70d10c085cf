//! The sections of a bundle: its manifest, and who signed it.

use super::reader::{Read, Reader};
use super::writer::Writer;
use super::{FormatError, FormatErrorReason, Found, SectionKind};
use crate::manifest::{Asset, AssetKind, Codec, MAX_ASSETS, Manifest};

/// Who signed a bundle, and the signature: Ed25519 over the digest of its other sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    pub public_key: [u8; 32],
    pub signature: [u8; 64],
}

impl Signature {
    pub fn to_bytes(self) -> Vec<u8> {
        [&self.public_key[..], &self.signature].concat()
    }
}

pub fn write(manifest: &Manifest) -> Vec<u8> {
    let mut w = Writer::default();
    w.text(&manifest.package);
    w.text(&manifest.version);
    w.list(&manifest.capabilities, |w, name| w.text(name));
    w.list(&manifest.assets, |w, asset| {
        w.text(&asset.path);
        w.option(&asset.name, |w, name| w.text(name));
        w.byte(asset.kind as u8);
        w.byte(asset.codec as u8);
        w.number(asset.len);
        w.number(asset.stored);
        w.bytes.extend_from_slice(&asset.hash);
    });
    w.bytes
}

/// The manifest, when there is one. What it says is held against the section of the asset data.
pub(super) fn read(bytes: &[u8], found: &Found) -> Read<Option<Manifest>> {
    let find = |kind: SectionKind| found.iter().find(|section| section.kind == Some(kind));
    let data = find(SectionKind::AssetData);
    let Some(section) = find(SectionKind::Assets) else {
        return match data {
            Some(data) => Err(data.error(FormatErrorReason::NoManifest)),
            None => Ok(None),
        };
    };
    let mut r = section.reader(bytes);
    let manifest = Manifest {
        package: r.text()?,
        version: r.text()?,
        capabilities: r.list(1, Reader::text)?,
        assets: {
            let at = r.at();
            let assets = r.list(38, read_asset)?;
            if assets.len() > MAX_ASSETS {
                let (count, limit) = (assets.len() as u64, MAX_ASSETS as u64);
                return Err(r.error(at, FormatErrorReason::TooMany { what: "assets", count, limit }));
            }
            assets
        },
    };
    r.end()?;
    if let Some(problem) = manifest.problem() {
        return Err(section.error(FormatErrorReason::BadManifest(problem)));
    }
    let data_len = data.map_or(0, |data| data.len);
    match manifest.layout() {
        Some((_, end)) if end == data_len => Ok(Some(manifest)),
        Some((_, end)) => {
            let problem = format!("the assets take {end} bytes, the asset data has {data_len}");
            Err(section.error(FormatErrorReason::BadManifest(problem)))
        }
        None => Err(section.error(FormatErrorReason::BadManifest("the assets take more bytes than there are".into()))),
    }
}

fn read_asset(r: &mut Reader) -> Read<Asset> {
    Ok(Asset {
        path: r.text()?,
        name: r.option(Reader::text)?,
        kind: {
            let number = r.byte()?;
            *AssetKind::ALL.get(usize::from(number)).ok_or_else(|| r.bad_tag("kind of asset", number))?
        },
        codec: {
            let number = r.byte()?;
            *Codec::ALL.get(usize::from(number)).ok_or_else(|| r.bad_tag("codec of an asset", number))?
        },
        len: r.u64()?,
        stored: r.u64()?,
        hash: {
            let mut hash = [0; 32];
            hash.copy_from_slice(r.take(32)?);
            hash
        },
    })
}

pub(super) fn read_signature(bytes: &[u8], found: &Found) -> Result<Option<Signature>, FormatError> {
    let Some(section) = found.iter().find(|section| section.kind == Some(SectionKind::Signature)) else {
        return Ok(None);
    };
    let mut r = section.reader(bytes);
    let mut signature = Signature { public_key: [0; 32], signature: [0; 64] };
    signature.public_key.copy_from_slice(r.take(32)?);
    signature.signature.copy_from_slice(r.take(64)?);
    r.end()?;
    Ok(Some(signature))
}
