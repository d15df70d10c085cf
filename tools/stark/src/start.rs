//! Starting what was built: a program in memory, a `.starkbc` file or a bundle, under what the host allows.

use crate::commands::refuse;
use crate::load;
use stark_bundle::{Assets, Bundle, PublicKey};
use stark_bytecode::VerifiedModule;
use stark_vm::capabilities::{self, Needs};
use stark_vm::jit::Jit;
use stark_vm::natives::Capability;
use std::path::Path;
use std::sync::Arc;

/// What may not be done, and what must be.
#[derive(Default)]
pub struct Policy {
    pub denied: Vec<Capability>,
    pub required_key: Option<PublicKey>,
    /// Bytes that one compressed asset may take in memory.
    pub asset_limit: Option<u64>,
}

/// A program that may begin.
pub struct Ready {
    pub module: VerifiedModule,
    pub assets: Option<Arc<Assets>>,
}

/// Says which functions become machine code in this process.
pub fn jit(wanted: Jit) -> Result<(), String> {
    stark_vm::jit::set(wanted).map_err(|reason| format!("--jit {wanted}: {reason}"))
}

/// The same, as the environment wants it.
pub fn jit_from_environment() -> Result<(), String> {
    match std::env::var_os("STARK_JIT") {
        Some(text) => jit(text.to_string_lossy().parse().map_err(|error| format!("STARK_JIT: {error}"))?),
        None => Ok(()),
    }
}

/// Checks a file that was read before anything of it runs; `shown` is what messages call it.
pub fn check(bundle: Bundle, shown: &Path, policy: &Policy) -> Result<Ready, i32> {
    let fail = |message: String| refuse(format!("{}: {message}", shown.display()));
    if let Some(key) = &policy.required_key {
        bundle.require(key).map_err(|error| fail(error.to_string()))?;
    }
    let Bundle { module, manifest, mut assets, .. } = bundle;
    let module = load::verify(module, shown)?;
    let Some(manifest) = manifest else { return Ok(Ready { module, assets: None }) };
    let needs = capabilities::needs(&module, !manifest.assets.is_empty());
    let is_stated = |capability: &Capability| manifest.capabilities.iter().any(|name| name == capability.name());
    if let Some((capability, natives)) = needs.iter().find(|(capability, _)| !is_stated(capability)) {
        let natives: Vec<&str> = natives.iter().copied().collect();
        return Err(fail(format!(
            "the bundle does not say that it needs the capability `{}`, but its code calls {}",
            capability.name(),
            natives.join(", ")
        )));
    }
    let denied: Needs = needs.into_iter().filter(|(capability, _)| policy.denied.contains(capability)).collect();
    if !denied.is_empty() {
        let lines: Vec<String> = denied
            .iter()
            .map(|(capability, natives)| {
                let natives: Vec<&str> = natives.iter().copied().collect();
                format!("\n  {}: for {}", capability.name(), natives.join(", "))
            })
            .collect();
        let names: Vec<&str> = denied.keys().map(|capability| capability.name()).collect();
        return Err(fail(format!(
            "the bundle needs what is denied:{}\n`stark inspect` shows which code needs it; `--allow {}` gives it",
            lines.concat(),
            names.join(",")
        )));
    }
    if let Some(limit) = policy.asset_limit {
        assets.limit(limit);
    }
    Ok(Ready { module, assets: Some(Arc::new(assets)) })
}

/// `--allow` and `--deny` as what is denied: everything that is not allowed, when something is allowed, and what is denied.
pub fn denied(allow: Option<&[String]>, deny: &[String]) -> Result<Vec<Capability>, String> {
    let find = |name: &str| {
        Capability::ALL.into_iter().find(|capability| capability.name() == name).ok_or_else(|| {
            let known: Vec<&str> = Capability::ALL.iter().map(|capability| capability.name()).collect();
            format!("`{name}` is no capability; there are {}, and `all` and `none`", known.join(", "))
        })
    };
    let set = |names: &[String]| -> Result<Vec<Capability>, String> {
        let mut set = Vec::new();
        for name in names.iter().flat_map(|names| names.split(',')).map(str::trim) {
            match name {
                "all" => set.extend(Capability::ALL),
                "none" => {}
                name => set.push(find(name)?),
            }
        }
        Ok(set)
    };
    let (allowed, denied) = (allow.map(set).transpose()?, set(deny)?);
    let is_denied = |capability: &Capability| {
        denied.contains(capability) || allowed.as_ref().is_some_and(|allowed| !allowed.contains(capability))
    };
    Ok(Capability::ALL.into_iter().filter(is_denied).collect())
}

/// A public key: a file that holds one, or the key itself.
pub fn public_key(text: &str) -> Result<PublicKey, String> {
    if let Ok(key) = PublicKey::parse(text) {
        return Ok(key);
    }
    let in_file = load::text(Path::new(text))?;
    PublicKey::parse(&in_file).map_err(|error| format!("{text}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| word.to_string()).collect()
    }

    #[test]
    fn what_is_not_allowed_is_denied() {
        use Capability::{Environment, Files, Network, Process};
        assert_eq!(denied(None, &[]).unwrap(), []);
        assert_eq!(denied(None, &words(&["network,files"])).unwrap(), [Files, Network]);
        assert_eq!(denied(Some(&words(&["files"])), &[]).unwrap(), [Network, Environment, Process]);
        assert_eq!(denied(Some(&words(&["none"])), &[]).unwrap(), Capability::ALL);
        assert_eq!(denied(Some(&words(&["all"])), &words(&["process"])).unwrap(), [Process]);
        assert!(denied(None, &words(&["disk"])).unwrap_err().contains("no capability"));
    }
}
