//! The shelf: pools and expected outputs stay open from pair to pair.

use crate::container::{Pool, Want};
use crate::stop::{Failure, FailureCode};
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Which version of a file: device, inode, size, modification time.
type Stamp = (u64, u64, u64, i64, i64);

/// A pool and its expected outputs.
pub type Case = (Rc<Pool>, Rc<Want>);

/// Files kept open at most; beyond, the shelf is cleared.
const MOST: usize = 512;

/// Open pools and wants by path.
#[derive(Default)]
pub struct Shelf {
    pools: HashMap<PathBuf, (Stamp, Rc<Pool>)>,
    wants: HashMap<PathBuf, (Stamp, Rc<Want>)>,
}

fn stamp(path: &Path) -> Result<Stamp, Failure> {
    let m = std::fs::metadata(path).map_err(|e| bad(format!("{}: {e}", path.display())))?;
    Ok((m.dev(), m.ino(), m.size(), m.mtime(), m.mtime_nsec()))
}

fn bad(detail: String) -> Failure {
    Failure::new(FailureCode::BadFile, detail)
}

impl Shelf {
    /// The pool at `path`.
    pub fn pool(&mut self, path: &Path) -> Result<Rc<Pool>, Failure> {
        let now = stamp(path)?;
        if let Some((then, pool)) = self.pools.get(path)
            && *then == now
        {
            return Ok(pool.clone());
        }
        if self.pools.len() >= MOST {
            self.pools.clear();
        }
        let pool = Rc::new(Pool::open(path).map_err(bad)?);
        self.pools.insert(path.into(), (now, pool.clone()));
        Ok(pool)
    }

    fn want(&mut self, path: &Path, pool: &Pool) -> Result<Rc<Want>, Failure> {
        let now = stamp(path)?;
        if let Some((then, want)) = self.wants.get(path)
            && *then == now
            && want.answers(pool)
        {
            return Ok(want.clone());
        }
        if self.wants.len() >= MOST {
            self.wants.clear();
        }
        let want = Rc::new(Want::open(path, pool).map_err(bad)?);
        self.wants.insert(path.into(), (now, want.clone()));
        Ok(want)
    }

    /// Pools with their expected outputs.
    pub fn pairs(&mut self, paths: &[(PathBuf, PathBuf)]) -> Result<Vec<Case>, Failure> {
        let mut pairs = Vec::with_capacity(paths.len());
        for (pool, want) in paths {
            let pool = self.pool(pool)?;
            let want = self.want(want, &pool)?;
            pairs.push((pool, want));
        }
        Ok(pairs)
    }
}
