//! Fills the slots of this target with functions of a library, counted on the way.

use lar_hook::pq_l2::{SCAN8, Scan8, TABLE_L2, TableL2};
use lar_serve::{Library, Op, Watched};

static SCAN: Op<Scan8> = Op::new("scan8", ["rows", "sub-vectors"]);
static TABLE: Op<TableL2> = Op::new("table_l2", ["dimensions", "sub-vectors"]);

fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    SCAN.run([out.len(), m], |kernel| kernel(table, m, codes, out));
}

fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    TABLE.run([query.len(), m], |kernel| kernel(codebook, m, query, out));
}

pub fn install(library: &Library) -> Result<Vec<&'static dyn Watched>, String> {
    let mut taken: Vec<&'static dyn Watched> = Vec::new();
    // SAFETY: the library's glue.rs gives these names to functions of these types.
    unsafe {
        if library.take("scan8", &SCAN)? {
            SCAN8.fill(scan8);
            taken.push(&SCAN);
        }
        if library.take("table_l2", &TABLE)? {
            TABLE_L2.fill(table_l2);
            taken.push(&TABLE);
        }
    }
    Ok(taken)
}
