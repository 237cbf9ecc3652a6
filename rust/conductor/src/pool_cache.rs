//! The cache: pools and expected outputs stay open from pair to pair.

use crate::container::{Expected, Pool};
use crate::stop::{Failure, FailureCode};
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Which version of a file: device, inode, size, modification time.
type Stamp = (u64, u64, u64, i64, i64);

/// A pool and its expected outputs.
pub type Case = (Rc<Pool>, Rc<Expected>);

/// Files kept open at most; beyond, the cache is cleared.
const MOST: usize = 512;

/// Open pools and expected by path.
#[derive(Default)]
pub struct PoolCache {
    pools: HashMap<PathBuf, (Stamp, Rc<Pool>)>,
    expected: HashMap<PathBuf, (Stamp, Rc<Expected>)>,
}

fn stamp(path: &Path) -> Result<Stamp, Failure> {
    let m = std::fs::metadata(path).map_err(|e| bad(format!("{}: {e}", path.display())))?;
    Ok((m.dev(), m.ino(), m.size(), m.mtime(), m.mtime_nsec()))
}

fn bad(detail: String) -> Failure {
    Failure::new(FailureCode::BadFile, detail)
}

impl PoolCache {
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

    fn expected(&mut self, path: &Path, pool: &Pool) -> Result<Rc<Expected>, Failure> {
        let now = stamp(path)?;
        if let Some((then, expected)) = self.expected.get(path)
            && *then == now
            && expected.answers(pool)
        {
            return Ok(expected.clone());
        }
        if self.expected.len() >= MOST {
            self.expected.clear();
        }
        let expected = Rc::new(Expected::open(path, pool).map_err(bad)?);
        self.expected.insert(path.into(), (now, expected.clone()));
        Ok(expected)
    }

    /// Pools with their expected outputs.
    pub fn pairs(&mut self, paths: &[(PathBuf, PathBuf)]) -> Result<Vec<Case>, Failure> {
        let mut pairs = Vec::with_capacity(paths.len());
        for (pool, expected) in paths {
            let pool = self.pool(pool)?;
            let expected = self.expected(expected, &pool)?;
            pairs.push((pool, expected));
        }
        Ok(pairs)
    }
}
