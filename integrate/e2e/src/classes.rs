//! The query classes: what each asks of which dataset.

use crate::make::{FLAT, STRINGS, VECTORS};

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// The `k` nearest by IVF_PQ.
    Nearest { nprobes: usize, k: usize, below: Option<u32>, deleted: bool },
    /// The 10 nearest by comparing every row, cosine.
    Flat,
    /// The 10 best texts for some words.
    Text { words: usize, all: bool },
    /// All values of a column.
    Scan,
    /// 100 values of a column at random places.
    Take,
    /// Partitions of 256 rows, by 1,024 given centroids.
    Assign,
}

/// One query class.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    pub name: &'static str,
    /// The dataset; of scans and takes the column too.
    pub data: &'static str,
    pub column: &'static str,
    pub kind: Kind,
}

/// Distinct queries of a class.
pub const QUERIES: usize = 1000;

const fn nearest(name: &'static str, data: &'static str, nprobes: usize, k: usize) -> Class {
    let kind = Kind::Nearest { nprobes, k, below: None, deleted: false };
    Class { name, data, column: "vector", kind }
}

const fn filtered(name: &'static str, below: Option<u32>, deleted: bool) -> Class {
    let kind = Kind::Nearest { nprobes: 16, k: 10, below, deleted };
    Class { name, data: "vec128", column: "vector", kind }
}

const fn text(name: &'static str, words: usize, all: bool) -> Class {
    Class { name, data: "text", column: "text", kind: Kind::Text { words, all } }
}

const fn column(name: &'static str, column: &'static str, kind: Kind) -> Class {
    Class { name, data: "strings", column, kind }
}

pub const CLASSES: [Class; 32] = [
    nearest("pq128-n1", "vec128", 1, 10),
    nearest("pq128-n16", "vec128", 16, 10),
    nearest("pq128-n64", "vec128", 64, 10),
    nearest("pq128-k100", "vec128", 16, 100),
    nearest("pq768-n1", "vec768", 1, 10),
    nearest("pq768-n16", "vec768", 16, 10),
    nearest("pq768-n64", "vec768", 64, 10),
    filtered("pq128-f1", Some(1), false),
    filtered("pq128-f10", Some(10), false),
    filtered("pq128-f50", Some(50), false),
    filtered("pq128-f90", Some(90), false),
    filtered("pq128-deleted", None, true),
    Class { name: "flat128", data: "flat128", column: "vector", kind: Kind::Flat },
    text("text-or2", 2, false),
    text("text-or3", 3, false),
    text("text-or8", 8, false),
    text("text-or15", 15, false),
    text("text-and2", 2, true),
    text("text-and3", 3, true),
    column("scan-names", "names", Kind::Scan),
    column("scan-urls", "urls", Kind::Scan),
    column("scan-prose", "prose", Kind::Scan),
    column("scan-long", "long", Kind::Scan),
    column("scan-kinds", "kinds", Kind::Scan),
    column("scan-ints", "ints", Kind::Scan),
    column("take-names", "names", Kind::Take),
    column("take-urls", "urls", Kind::Take),
    column("take-prose", "prose", Kind::Take),
    column("take-long", "long", Kind::Take),
    column("take-kinds", "kinds", Kind::Take),
    column("take-ints", "ints", Kind::Take),
    Class { name: "assign128", data: "", column: "", kind: Kind::Assign },
];

/// A class by its name.
pub fn find(name: &str) -> Result<Class, String> {
    CLASSES
        .iter()
        .find(|class| class.name == name)
        .copied()
        .ok_or_else(|| format!("no class '{name}'"))
}

/// Dimensions of a dataset's vectors.
pub fn find_dim(data: &str) -> usize {
    VECTORS.iter().find(|set| set.name == data).map_or(FLAT.2, |set| set.dim)
}

/// Rows that a take may ask for.
pub const TAKEN: usize = STRINGS;
