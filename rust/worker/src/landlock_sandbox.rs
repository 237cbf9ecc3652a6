//! The fallback sandbox if bubblewrap cannot run: Landlock, one rule set, nothing written.

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus,
};

/// Directories a dynamic loader reads.
const READ: [&str; 6] = ["/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache", "/proc"];

/// Confines this process and all its children. Returns false if the kernel cannot.
pub fn enter() -> bool {
    restrict().unwrap_or(false)
}

fn restrict() -> Result<bool, Box<dyn std::error::Error>> {
    let abi = ABI::V4;
    let read = AccessFs::from_read(abi);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .create()?;
    let own = std::env::current_exe()?;
    for path in READ.iter().map(std::path::Path::new).chain([own.as_path()]) {
        if let Ok(fd) = PathFd::new(path) {
            let access = if path.is_dir() { read } else { read & AccessFs::from_file(abi) };
            rules = rules.add_rule(PathBeneath::new(fd, access))?;
        }
    }
    Ok(rules.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
}
