//! What `stark inspect` shows of a bundle: what it carries, who signed it, what it needs and which code needs it.

use stark_bundle::Bundle;
use stark_bytecode::{Codec, Manifest, Module};
use stark_vm::capabilities::{User, needs, users};
use std::fmt::Write;
use std::path::Path;

/// The most functions that are listed for one capability.
const MAX_USERS: usize = 40;

/// Of a file with a manifest; its module was verified.
pub fn show(path: &Path, bundle: &Bundle, manifest: &Manifest) -> String {
    let module = &bundle.module;
    let mut out = String::new();
    let version = if manifest.version.is_empty() { String::new() } else { format!(" {}", manifest.version) };
    let mut line = |text: String| out += &(text + "\n");
    line(format!("{}: bundle of {}{version}, {} bytes", path.display(), manifest.package, bundle.len));
    line(match &bundle.signer {
        Some(key) => format!("  signed by     {key}"),
        None => "  signed by     nobody".to_string(),
    });
    let n_instructions: usize = module.functions.iter().map(|f| f.code.len()).sum();
    line(format!("  code          {} functions, {n_instructions} instructions", module.functions.len()));
    line(format!("  entry         {}", module.functions[module.entry.index()].name));
    let (library, own): (Vec<&str>, Vec<&str>) =
        module.files.iter().map(String::as_str).partition(|file| file.starts_with("std/"));
    line(format!("  sources       {}", own.join(", ")));
    line(format!("  library       {} modules", library.len()));
    line(format!("  assets        {}", assets(manifest).trim_start()));
    out += &capabilities(module, !manifest.assets.is_empty());
    out
}

fn assets(manifest: &Manifest) -> String {
    if manifest.assets.is_empty() {
        return "none".to_string();
    }
    let bytes: u64 = manifest.assets.iter().map(|asset| asset.len).sum();
    let mut out = format!("{} of {bytes} bytes", manifest.assets.len());
    let width = manifest.assets.iter().map(|asset| asset.path.chars().count()).max().unwrap_or(0);
    for asset in &manifest.assets {
        let hash: String = asset.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let (kind, path) = (asset.kind.name(), &asset.path);
        let _ = write!(out, "\n    {kind:<9} {path:<width$} {:>12} bytes  blake3 {}", asset.len, &hash[..16]);
        if asset.codec != Codec::Plain {
            let _ = write!(out, "  {} in {} bytes", asset.codec.name(), asset.stored);
        }
        if let Some(name) = &asset.name {
            let _ = write!(out, "  as `{name}`");
        }
    }
    out
}

/// What the code needs of its host, and which functions need it.
pub fn capabilities(module: &Module, has_assets: bool) -> String {
    let needs = needs(module, has_assets);
    if needs.is_empty() {
        return "  needs         nothing of its host\n".to_string();
    }
    let names: Vec<&str> = needs.keys().map(|capability| capability.name()).collect();
    let mut out = format!("  needs         {}\n", names.join(", "));
    for (capability, natives) in &needs {
        let natives: Vec<&str> = natives.iter().copied().collect();
        let _ = writeln!(out, "    {}: for {}", capability.name(), natives.join(", "));
        let users = users(module, *capability, has_assets);
        for User { func, natives } in users.iter().take(MAX_USERS) {
            let function = &module.functions[func.index()];
            let place = function.lines.first().and_then(|line| {
                let file = module.files.get(line.file as usize)?;
                Some(format!(" ({file}:{})", line.line))
            });
            let how = if natives.is_empty() { "through what it calls".to_string() } else { natives.join(", ") };
            let _ = writeln!(out, "      {}{}: {how}", function.name, place.unwrap_or_default());
        }
        if users.len() > MAX_USERS {
            let _ = writeln!(out, "      … {} more", users.len() - MAX_USERS);
        }
    }
    out
}
